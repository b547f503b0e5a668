"""``openai:MODEL``: what is sent, what is taken, what is tried again, and where the key goes."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from motionkit.backends.captioners import (
    Answer,
    Captioner,
    Manners,
    Sampling,
    open_captioner,
    openai_endpoint,
    tokens_of,
    whole_sentences,
)
from motionkit.backends.captioners.http_call import Address, NoServer, Reply
from motionkit.backends.captioners.openai_endpoint import OpenAIEndpoint
from motionkit.backends.captioners.pictures import jpegs
from motionkit.backends.captioners.prompts import prompt_hash, prompt_text
from motionkit.errors import InputError, MotionkitError, UsageError

KEY = "sk-0123456789abcdefghij"
PROMPT = prompt_text("motion-in-red-box")
FRAMES = np.arange(2 * 12 * 16 * 3, dtype=np.uint8).reshape(2, 12, 16, 3)


class Web:
    """Stands in for `http_call.call`: gives the next of ``replies``, keeps what was asked."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[Address, str, str, dict[str, str], Any]] = []

    def __call__(
        self,
        address: Address,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Reply:
        self.asked.append((address, method, path, headers, json.loads(body or b"null")))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


def says(text: Any, **changes: Any) -> Reply:
    body = {"model": "m-1", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return Reply(200, json.dumps({**body, **changes}).encode())


def status(code: int, text: str = "no", **more: Any) -> Reply:
    return Reply(code, json.dumps({"error": {"message": text}}).encode(), **more)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Web]:
    monkeypatch.setenv("MOTIONKIT_CAPTION_URL", "http://127.0.0.1:8000/v1/")
    monkeypatch.setenv("MOTIONKIT_CAPTION_KEY", KEY)

    def make(*replies: Reply | Exception) -> Web:
        made = Web(*replies)
        monkeypatch.setattr(openai_endpoint, "call", made)
        return made

    return make


def endpoint(waits: list[float] | None = None, **manners: Any) -> OpenAIEndpoint:
    slept = [] if waits is None else waits
    made = OpenAIEndpoint("m", manners=Manners(**manners), sleep=slept.append)
    made.setup()
    return made


def ask(captioner: Captioner, sampling: Sampling | None = None) -> Answer:
    return captioner.describe(PROMPT, captioner.prepare(FRAMES), sampling or Sampling())


def failing(captioner: Captioner) -> InputError:
    with pytest.raises(InputError) as caught:
        ask(captioner)
    return caught.value


def test_the_prompt_is_the_papers_word_for_word() -> None:
    assert PROMPT == (
        "Use one or two concise sentences to describe the motion of the person within the red "
        "bounding box in chronological order, without referencing their physical appearance."
    )
    assert len(prompt_hash("motion-in-red-box")) == 16
    with pytest.raises(UsageError, match="no prompt 'poem'"):
        prompt_text("poem")


def test_a_request_holds_the_pictures_in_order_and_then_the_prompt(
    web: Callable[..., Web],
) -> None:
    made = web(status(404), says("A person waves."))
    captioner = endpoint()
    ask(captioner, Sampling(0.7, 3, 50))
    (_, method, path, _, nothing), (address, post, target, headers, body) = made.asked
    assert (method, path, nothing) == ("GET", "/models", None)
    assert (post, target) == ("POST", "/chat/completions")
    assert address == Address("http", "127.0.0.1", 8000, "/v1")
    assert headers["Authorization"] == f"Bearer {KEY}"
    (message,) = body.pop("messages")
    *images, text = message["content"]
    assert text == {"type": "text", "text": PROMPT}
    sent = [base64.b64decode(image["image_url"]["url"].partition(",")[2]) for image in images]
    assert sent == list(jpegs(captioner.prepare(FRAMES)))
    assert body == {
        "model": "m",
        "max_tokens": 50,
        "temperature": 0.7,
        "seed": 3,
        "stream": False,
    }


def test_further_fields_are_added_and_null_takes_one_out(web: Callable[..., Web]) -> None:
    made = web(says("A person waves."))
    extra = '{"max_tokens": null, "max_completion_tokens": 90, "top_p": 0.9}'
    captioner = OpenAIEndpoint("m", extra=extra)
    captioner.setup()
    ask(captioner)
    body = made.asked[-1][-1]
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["top_p"]) == (90, 0.9)
    assert captioner.identity() != OpenAIEndpoint("m").identity()


@pytest.mark.parametrize("extra", ["{", "[1]", '{"messages": []}', '{"n": 4}'])
def test_further_fields_that_make_no_sense(extra: str) -> None:
    with pytest.raises(UsageError, match="extra"):
        open_captioner("openai:m", extra=extra)


@pytest.mark.parametrize("spec", ["", "openai", "openai:", "openai: m", "gpt:m", ":m"])
def test_specs_that_name_nobody(spec: str) -> None:
    with pytest.raises(UsageError, match="no captioner"):
        open_captioner(spec)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("  A person\n waves.\t", "A person waves."),
        ('"A person waves."', "A person waves."),
        ("A person\u202e wa\x00ves.\x1b[31m", "A person waves.[31m"),
        ("<think>Hm, a box.</think>\nA person waves.", "A person waves."),
        ([{"type": "text", "text": "A person"}, {"type": "text", "text": "waves."}],
         "A person waves."),
        (f"My key is {KEY}.", "My key is [key]."),
        (f"My key is {KEY[:9]}\u200b{KEY[9:]}.", "My key is [key]."),
        (" " * 5000 + "A person waves.", "A person waves."),
    ],
)  # fmt: skip
def test_text_is_one_clean_line(content: Any, text: str, web: Callable[..., Web]) -> None:
    web(says(content))
    assert ask(endpoint()) == Answer(text, "m-1", "stop")


def test_a_cut_leaves_no_part_of_the_key(web: Callable[..., Web]) -> None:
    for length in range(960, 1001, 5):
        web(says("x" * length + KEY))
        assert "sk-" not in ask(endpoint()).text
        web(status(400, "x" * (length - 800) + KEY))
        assert "sk-" not in str(failing(endpoint()))


def test_tokens_are_kept_where_they_are_numbers(web: Callable[..., Web]) -> None:
    web(says("A.", usage={"prompt_tokens": 2100, "completion_tokens": 40}))
    answer = ask(endpoint())
    assert (answer.prompt_tokens, answer.completion_tokens) == (2100, 40)
    for usage in (None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1}, 7):
        web(says("A.", usage=usage))
        assert ask(endpoint()).prompt_tokens is None


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html>", b"[]", b"7", b"null", b'{"choices": []}', b'{"choices": [7]}',
     b'{"choices": [{"message": {"content": 7}}]}', b'{"choices": [{"message": null}]}',
     b'{"choices": [{"message": {"content": [{"type": "text"}]}}]}',
     b'{"choices": [{"message": {"content": {"type": "text"}}}]}', b"[" * 100_000],
)  # fmt: skip
def test_answers_of_another_form_are_malformed(body: bytes, web: Callable[..., Web]) -> None:
    web(Reply(200, body))
    error = failing(endpoint(retries=0))
    assert error.code == "caption-malformed"
    assert len(error.message) < 400


@pytest.mark.parametrize("content", ["", " \n", None, "\u200b", '""', []])
def test_no_text_is_its_own_failure(content: Any, web: Callable[..., Web]) -> None:
    web(says(content))
    assert failing(endpoint(retries=0)).code == "caption-empty"


PASSING = [
    (status(429), "caption-rate-limited"),
    (status(500), "caption-server-error"),
    (status(503), "caption-server-error"),
    (Reply(200, b"{"), "caption-malformed"),
    (says(""), "caption-empty"),
    (InputError("caption-network", "reset"), "caption-network"),
    (InputError("caption-timeout", "late"), "caption-timeout"),
    (Reply(200, says("A.").body, request_id="motionkit-other-0"), "caption-mismatched"),
]


@pytest.mark.parametrize(("reply", "code"), PASSING, ids=[code for _, code in PASSING])
def test_what_may_pass_is_tried_again_with_growing_pauses(
    reply: Reply | Exception, code: str, web: Callable[..., Web]
) -> None:
    waits: list[float] = []
    made = web(status(404), reply, reply, says("A."))
    assert ask(endpoint(waits, backoff_s=2.0)).text == "A."
    assert len(made.asked) == 4
    assert 1 <= waits[0] <= 2 <= waits[1] <= 4
    made = web(reply)
    assert failing(endpoint(retries=2)).code == code
    assert len(made.asked) == 4  # the models, and three tries
    ids = [headers["X-Request-Id"] for _, _, _, headers, _ in made.asked[1:]]
    assert len(set(ids)) == 3


STAYING = [
    (400, "caption-refused"),
    (401, "caption-unauthorised"),
    (403, "caption-unauthorised"),
    (404, "caption-no-model"),
    (413, "caption-refused"),
    (422, "caption-refused"),
    (302, "caption-redirected"),
]


@pytest.mark.parametrize(("number", "code"), STAYING)
def test_what_stays_is_not_tried_again(number: int, code: str, web: Callable[..., Web]) -> None:
    made = web(status(503), status(number, f"you sent {KEY}, not good"))
    error = failing(endpoint())
    assert error.code == code
    assert KEY not in f"{error} {error.hint}"
    assert "you sent [key]" in error.message or code == "caption-redirected"
    assert len(made.asked) == 2


def test_pauses_are_drawn_from_the_request_and_repeat(web: Callable[..., Web]) -> None:
    web(status(500))
    first: list[float] = []
    second: list[float] = []
    failing(endpoint(first))
    failing(endpoint(second))
    assert first == second
    assert len(set(first)) == 5
    other: list[float] = []
    captioner = endpoint(other)
    with pytest.raises(InputError):
        captioner.describe("Another prompt", captioner.prepare(FRAMES), Sampling())
    assert other != first


def test_the_server_says_how_long_to_wait(web: Callable[..., Web]) -> None:
    waits: list[float] = []
    web(status(404), status(429, wait_s=30.0), says("A."))
    ask(endpoint(waits))
    assert waits == [30.0]
    made = web(status(404), status(429, wait_s=3600.0), says("A."))
    assert failing(endpoint(waits)).code == "caption-rate-limited"
    assert len(made.asked) == 2  # an hour is not waited: retry comes back to it


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (status(401), "refuses the key"),
        (status(403), "refuses the key"),
        (Reply(200, b'{"data": [{"id": "llava"}, {"id": "qwen"}]}'), "no model 'm'"),
        (NoServer("no captioner's server listens at its address"), "listens"),
    ],
)
def test_setup_finds_what_can_never_work(
    reply: Reply | Exception, said: str, web: Callable[..., Web]
) -> None:
    web(reply)
    with pytest.raises(MotionkitError, match=said) as caught:
        endpoint()
    assert not isinstance(caught.value, InputError)
    assert caught.value.hint


@pytest.mark.parametrize(
    "reply",
    [
        status(404),
        status(500),
        Reply(200, b"<html>"),
        Reply(200, b'{"data": [{"id": "m"}]}'),
        InputError("caption-timeout", "late"),
    ],
)
def test_setup_gives_the_benefit_of_the_doubt(
    reply: Reply | Exception, web: Callable[..., Web]
) -> None:
    web(reply)
    endpoint()


def test_address_and_key_come_from_the_environment(
    web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = web(status(404))
    monkeypatch.delenv("MOTIONKIT_CAPTION_URL")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="no address") as caught:
        endpoint()
    assert "MOTIONKIT_CAPTION_URL" in str(caught.value.hint)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example/v1")
    monkeypatch.delenv("MOTIONKIT_CAPTION_KEY")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    endpoint()
    assert "Authorization" not in made.asked[-1][3]
    monkeypatch.setenv("OPENAI_API_KEY", " other-key\n")
    endpoint()
    assert made.asked[-1][0].host == "api.example"
    assert made.asked[-1][3]["Authorization"] == "Bearer other-key"


def test_a_key_with_a_line_end_is_refused_unseen(
    web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    web(status(404))
    monkeypatch.setenv("MOTIONKIT_CAPTION_KEY", f"{KEY}\nX-Evil: 1")
    with pytest.raises(UsageError) as caught:
        endpoint()
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_no_key_travels_or_shows(web: Callable[..., Web]) -> None:
    web(status(404))
    captioner = endpoint()
    assert KEY.encode() not in pickle.dumps(captioner)
    assert KEY not in repr(captioner) + str(captioner.identity())


def test_the_key_of_a_request_does_not_depend_on_the_address(
    web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    web(status(404))
    pictures = endpoint().prepare(FRAMES)
    first = endpoint().key(PROMPT, pictures, Sampling())
    monkeypatch.setenv("MOTIONKIT_CAPTION_URL", "http://127.0.0.2:9000/v1")
    assert endpoint(timeout_s=3.0).key(PROMPT, pictures, Sampling()) == first
    assert OpenAIEndpoint("other").key(PROMPT, pictures, Sampling()) != first


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("A person waves. Then he", "stop", "A person waves. Then he"),
        ("A person waves. Then he", "length", "A person waves."),
        ("A person waves! He runs? Th", "length", "A person waves! He runs?"),
        ("x. " * 400, None, ("x. " * 400).strip()),
    ],
)
def test_a_sentence_that_was_cut_off_is_left_out(
    text: str, finish: str | None, expected: str
) -> None:
    assert whole_sentences(text, finish) == expected


def test_not_one_whole_sentence_is_a_failure() -> None:
    with pytest.raises(InputError) as caught:
        whole_sentences("A person walks and walks and", "length")
    assert caught.value.code == "caption-cut"


def test_what_a_caption_cost_is_read_from_its_detail() -> None:
    detail = json.dumps({"usage": {"prompt_tokens": 2100, "completion_tokens": 40}})
    assert tokens_of(detail) == (2100, 40)
    for other in (None, "", "{", "[]", '{"usage": null}', '{"usage": {"prompt_tokens": "x"}}'):
        assert tokens_of(other) == (0, 0)
