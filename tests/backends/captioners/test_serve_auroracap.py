"""scripts/serve-auroracap.py: its HTTP side, with a model that only counts."""

from __future__ import annotations

import importlib.util
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.backends.captioners import Answer, Sampling
from motionkit.backends.captioners.openai_endpoint import OpenAIEndpoint
from motionkit.errors import InputError, MotionkitError

SCRIPT = Path(__file__).parents[3] / "scripts" / "serve-auroracap.py"
NAME = "wchai/AuroraCap-7B-VID-xtuner"  # as pipelines/motionweb.toml has it


def script() -> Any:
    spec = importlib.util.spec_from_file_location("serve_auroracap", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def describe(
    pictures: list[bytes], prompt: str, tokens: int, temperature: float, seed: int
) -> tuple[str, int, int, bool]:
    assert all(picture[:2] == b"\xff\xd8" for picture in pictures)
    if prompt == "break":
        raise RuntimeError("CUDA error")
    text = f"{len(pictures)} pictures, {prompt}, {tokens}, {temperature}, {seed}."
    return text, 1500, 12, prompt == "long"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = script().make_server(describe, 0, "its-key")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MOTIONKIT_CAPTION_KEY", "its-key")
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    monkeypatch.setenv("MOTIONKIT_CAPTION_URL", address)
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


def endpoint() -> OpenAIEndpoint:
    made = OpenAIEndpoint(NAME, sleep=lambda _: None)
    made.setup()
    return made


def ask(prompt: str, sampling: Sampling) -> Answer:
    made = endpoint()
    frames = np.zeros((8, 20, 30, 3), np.uint8)
    return made.describe(prompt, made.prepare(frames), sampling)


def test_motionkits_captioner_is_answered(url: str) -> None:
    found = ask("What?", Sampling(0.7, 3, 99))
    assert found == Answer("8 pictures, What?, 99, 0.7, 3.", NAME, "stop", 1500, 12)
    assert ask("long", Sampling()).finish == "length"


def test_a_model_that_breaks_is_tried_again_and_then_told(url: str) -> None:
    with pytest.raises(InputError, match="CUDA error") as caught:
        ask("break", Sampling())
    assert caught.value.code == "caption-server-error"


def test_its_key_is_asked_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONKIT_CAPTION_KEY", "another")
    with pytest.raises(MotionkitError, match="refuses the key"):
        endpoint()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "user", "content": "no pictures"}]},
        {"messages": [{"content": [{"type": "text", "text": "no pictures"}]}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}]},
    ],
)
def test_other_requests_are_refused(body: dict[str, Any], url: str) -> None:
    request = urllib.request.Request(
        f"{url}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": "Bearer its-key", "Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    with caught.value as answer:
        assert answer.code == 400
