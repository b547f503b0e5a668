"""Foreign errors and their codes; waiting and trying again."""

import email.utils
import errno
import time
import urllib.error
from email.message import Message

import pytest

from motionkit.errors import InputError
from motionkit.sources.faults import Fault, fault_of, with_retries


def http_error(status: int, **headers: str) -> urllib.error.HTTPError:
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return urllib.error.HTTPError("http://h/x", status, "words", message, None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("empty-file", "x"), "empty-file"),
        (TimeoutError("late"), "network"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "network"),
        (urllib.error.URLError(OSError(-2, "Name or service not known")), "network"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot-write"),
        (FileNotFoundError("s3://b/k"), "dead-link"),
        (PermissionError("Access Denied"), "blocked"),
        (RuntimeError("something new"), "extraction-failed"),
        (RuntimeError("The uploader has not made this video available in your country"),
         "geo-blocked"),
        (RuntimeError("This video is DRM protected"), "unsupported-address"),
    ],
)  # fmt: skip
def test_errors_have_codes(error: Exception, code: str) -> None:
    assert fault_of(error, "http://h/x").code == code


def test_the_message_names_the_address_once_and_is_one_clean_line() -> None:
    inner = ValueError("bad\nthing \x1b[31m")
    try:
        raise RuntimeError("ERROR: outer") from inner
    except RuntimeError as error:
        assert fault_of(error, "http://h/x").message == "http://h/x: outer; bad thing [31m"


def test_a_server_says_how_long_to_wait() -> None:
    assert fault_of(http_error(429, Retry_After="7"), "x").wait_s == 7
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    asked = fault_of(http_error(429, Retry_After=date), "x").wait_s
    assert asked is not None and 55 < asked <= 60
    for nothing in ("soon", ""):
        assert fault_of(http_error(429, Retry_After=nothing), "x").wait_s is None
    with http_error(404) as error:
        assert fault_of(error, "x").wait_s is None


class Tries:
    """Fails with the given faults, one a call, then succeeds."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)

    def __call__(self) -> str:
        if self.faults:
            raise self.faults.pop(0)
        return "done"


def waits(work: Tries, retries: int = 3, longest_s: float = 100.0) -> list[float]:
    slept: list[float] = []
    assert with_retries(
        work, retries=retries, backoff_s=2, longest_s=longest_s, sleep=slept.append
    ) == "done"  # fmt: skip
    return slept


def test_passing_faults_are_waited_out_longer_each_time() -> None:
    faults = [Fault("network", ""), Fault("server-error", ""), Fault("rate-limited", "")]
    assert waits(Tries(*faults)) == [2, 4, 8]


def test_a_server_that_asks_for_time_gets_it() -> None:
    assert waits(Tries(Fault("rate-limited", "", wait_s=30))) == [30]
    with pytest.raises(Fault, match="later"):
        waits(Tries(Fault("rate-limited", "later", wait_s=3000)))


def test_lasting_faults_and_the_last_try_are_raised() -> None:
    with pytest.raises(Fault, match="gone"):
        waits(Tries(Fault("dead-link", "gone")))
    with pytest.raises(Fault, match="third"):
        waits(Tries(Fault("network", ""), Fault("network", ""), Fault("network", "third")), 2)
