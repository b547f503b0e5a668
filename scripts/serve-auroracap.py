#!/usr/bin/env python3
"""AuroraCap behind the OpenAI chat protocol, for motionkit's captioner openai:MODEL.

No released server knows AuroraCap's architecture, so this one puts the authors' own classes behind
a small HTTP server. It runs in AuroraCap's environment, not in motionkit's, and needs nothing of
motionkit; docs/auroracap.md has the steps.

    python serve-auroracap.py --model AuroraCap-7B-VID-xtuner --port 8000

It listens on 127.0.0.1 only. ``--key-from NAME`` asks every request for the key that stands in the
environment variable NAME. Requests are answered one after another.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: Pictures (bytes of JPEG or PNG files), prompt, tokens, temperature, seed → text, token counts
#: (prompt, written), and whether the text was cut off.
Describe = Callable[[list[bytes], str, int, float, int], "tuple[str, int, int, bool]"]

MAX_BODY_BYTES = 64 << 20
MAX_PICTURES = 32
MODEL_NAME = "wchai/AuroraCap-7B-VID-xtuner"


class BadRequest(Exception):
    """The request is not one that can be answered."""


def read_request(data: Any) -> tuple[list[bytes], str, int, float, int]:
    """Pictures and prompt of one user message; BadRequest says what is wrong."""
    try:
        (message,) = data["messages"]
        parts = message["content"]
        pictures, texts = [], []
        for part in parts:
            if part["type"] == "text":
                texts.append(part["text"])
                continue
            head, _, body = part["image_url"]["url"].partition(",")
            if not head.startswith("data:image/") or not head.endswith(";base64"):
                raise BadRequest("a picture must be a data: URL")
            pictures.append(base64.b64decode(body, validate=True))
        tokens = int(data.get("max_tokens", 256))
        temperature = float(data.get("temperature", 0.0))
        seed = int(data.get("seed", 0))
    except (KeyError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise BadRequest(f"the request has another form ({type(error).__name__})") from error
    if not pictures or len(pictures) > MAX_PICTURES or not texts:
        raise BadRequest(f"send a text and 1 to {MAX_PICTURES} pictures")
    if not 1 <= tokens <= 4096 or not 0 <= temperature <= 2:
        raise BadRequest("max_tokens lies in 1..4096, temperature in 0..2")
    return pictures, "\n".join(texts), tokens, temperature, seed


def completion(text: str, asked: int, written: int, cut: bool) -> dict[str, Any]:
    """The answer as the protocol has it."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length" if cut else "stop",
    }
    usage = {"prompt_tokens": asked, "completion_tokens": written}
    usage["total_tokens"] = asked + written
    return {
        "id": "chatcmpl-auroracap",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL_NAME,
        "choices": [choice],
        "usage": usage,
    }


def make_server(describe: Describe, port: int, key: str | None = None) -> ThreadingHTTPServer:
    """A server on loopback; `serve_forever` runs it."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/v1/models" and self._may():
                self._send(200, {"object": "list", "data": [{"id": MODEL_NAME}]})
            elif self.path != "/v1/models":
                self._fail(404, "no such path")

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                self._fail(413, "the request is too large, or has no length")
                return
            body = self.rfile.read(int(length))
            if not self._may():
                return
            if self.path != "/v1/chat/completions":
                self._fail(404, "no such path")
                return
            try:
                asked = read_request(json.loads(body))
                with turn:
                    self._send(200, completion(*describe(*asked)))
            except (BadRequest, ValueError) as error:
                self._fail(400, str(error))
            except Exception as error:  # noqa: BLE001 - the client hears of it and may try again
                self._fail(500, f"{type(error).__name__}: {error}")

        def _may(self) -> bool:
            if key is None or self.headers.get("Authorization") == f"Bearer {key}":
                return True
            self._fail(401, "this server wants a key")
            return False

        def _fail(self, status: int, message: str) -> None:
            self._send(status, {"error": {"message": message}})

        def _send(self, status: int, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def load_auroracap(model: Path, kept_ratio: float, device: str) -> Describe:
    """The authors' model, in half precision. ``model`` is the folder of weights in their xtuner
    layout; their own branch of xtuner is installed."""
    import torch
    from PIL import Image
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, CLIPImageProcessor
    from xtuner.model.aurora import AuroraEncoder, AuroraModel
    from xtuner.utils import IMAGE_TOKEN_INDEX, PROMPT_TEMPLATE

    half = {"torch_dtype": torch.float16}
    whole = AuroraModel(
        llm=AutoModelForCausalLM.from_pretrained(model, **half),
        visual_encoder=AuroraEncoder.from_pretrained(model / "visual_encoder", **half),
    )
    # Their projector is a class that travels with the weights: its code is run.
    whole.projector = AutoModel.from_pretrained(model / "projector", trust_remote_code=True, **half)
    whole = whole.to(device).eval()
    whole.visual_encoder.reset_tome_r(kept_ratio)
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="right")
    # CLIP's own mean and spread are this class's defaults; the encoder takes 378 pixels.
    processor = CLIPImageProcessor(
        size={"shortest_edge": 378}, crop_size={"height": 378, "width": 378}
    )

    def tokens_for(prompt: str, count: int) -> Any:
        """Token ids [1, n]: the conversation's words, with a mark for every picture."""
        text = PROMPT_TEMPLATE.vicuna["INSTRUCTION"].format(input="\0\n" + prompt, round=1)
        before, _, after = text.partition("\0")
        ids = tokenizer.encode(before)
        blank = tokenizer.encode(" ", add_special_tokens=False)
        for place in range(count):
            ids += ([*blank] if place else []) + [IMAGE_TOKEN_INDEX]
        ids += tokenizer.encode(after, add_special_tokens=False)
        return torch.tensor([ids], device=device)

    def describe(
        files: list[bytes], prompt: str, most: int, temperature: float, seed: int
    ) -> tuple[str, int, int, bool]:
        images = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
        pixels = processor(images, return_tensors="pt")["pixel_values"]
        data = {
            "pixel_values": pixels.to(device, torch.float16).unsqueeze(0),
            "input_ids": tokens_for(prompt, len(images)),
        }
        drawn = {"do_sample": True, "temperature": temperature} if temperature else {}
        torch.manual_seed(seed)
        with torch.inference_mode():
            inputs = whole(data, mode="inference")
            out = whole.llm.generate(
                **inputs, **{"do_sample": False, **drawn}, max_new_tokens=most
            )[0]
        asked = inputs["inputs_embeds"].shape[1]
        text = tokenizer.decode(out, skip_special_tokens=True)
        return text, int(asked), len(out), len(out) >= most

    return describe


def main() -> int:
    """Load and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the weights (xtuner)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--token-kept-ratio", type=float, default=0.3, help="0.2 to 0.4")
    parser.add_argument("--key-from", metavar="NAME", help="environment variable with a key")
    options = parser.parse_args()
    key = os.environ[options.key_from] if options.key_from else None
    describe = load_auroracap(options.model, options.token_kept_ratio, options.device)
    server = make_server(describe, options.port, key)
    print(f"AuroraCap at http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
