from pathlib import Path

import pytest

from motionkit.errors import InputError, UsageError
from motionkit.generation.prompts import FailedPrompt, Prompt, checked, read_prompts


def read(tmp_path: Path, name: str, content: bytes) -> list[Prompt | FailedPrompt]:
    path = tmp_path / name
    path.write_bytes(content)
    return list(read_prompts(path))


def test_a_text_a_line(tmp_path: Path) -> None:
    made = read(tmp_path, "p.txt", "\ufeffa person walks\r\n\n  a person sits \n".encode())
    assert made == [Prompt(("a person walks",), line=1), Prompt(("a person sits",), line=3)]


def test_a_line_that_is_not_utf8_fails_alone(tmp_path: Path) -> None:
    one, bad, other = read(tmp_path, "p.txt", b"a person walks\n\xff\xfe walks\nhops\n")
    assert isinstance(bad, FailedPrompt) and bad.line == 2 and "UTF-8" in bad.message
    bad.text.encode()
    assert (one.line, other.line) == (1, 3)  # type: ignore[union-attr]


def test_csv(tmp_path: Path) -> None:
    made = read(
        tmp_path, "p.csv",
        b'Text, seconds ,seed\n"walks, then hops",4.5,7\nsits,,\n'
        b"waves,soon,\nbows,1\n,2,\nx,1,1.5\n",
    )  # fmt: skip
    assert made[:2] == [Prompt(("walks, then hops",), 4.5, 7, 2), Prompt(("sits",), line=3)]
    assert [m.line for m in made[2:]] == [4, 5, 6, 7]
    assert all(isinstance(m, FailedPrompt) and m.code == "bad-prompt" for m in made[2:])
    assert "soon" in made[2].message and "2 cells" in made[3].message  # type: ignore[union-attr]


@pytest.mark.parametrize("head", [b"", b"prompt,seconds\n", b"text,second\n", b"text,text\n"])
def test_a_csv_without_its_columns_is_refused(head: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="columns"):
        read(tmp_path, "p.csv", head + b"a,b\n")


def test_json_lines(tmp_path: Path) -> None:
    made = read(
        tmp_path, "p.jsonl",
        b'{"text": "walks", "seconds": 3, "seed": 2}\n{"text": ["walks", "sits"]}\n[1]\n'
        b'{"text": 4}\n{"text": "x", "sede": 1}\n{"text": "x", "seed": true}\n{oh\n'
        b'{"text": "x", "seconds": 1e999}\n'
        b'{"text": ""}\n{"text": []}\n{"text": "x", "seed": -1}\n' + b"[" * 100_000,
    )  # fmt: skip
    assert made[:2] == [Prompt(("walks",), 3.0, 2, 1), Prompt(("walks", "sits"), line=2)]
    assert [m.line for m in made[2:]] == list(range(3, 13))
    assert all(isinstance(m, FailedPrompt) for m in made[2:])
    assert "sede" in made[4].message  # type: ignore[union-attr]


def test_files_that_are_not_there_or_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")
    monkeypatch.setattr("motionkit.generation.prompts.LARGEST_FILE", 3)
    with pytest.raises(UsageError, match="larger"):
        read(tmp_path, "p.txt", b"walks")


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(()), Prompt((" ",)), Prompt(("a", "")), Prompt(("a" * 3000,)), Prompt(("\ud800",)),
        Prompt(("walks\x00",)), Prompt(("\x1b[31mred",)), Prompt(("a\x7f",)), Prompt(("- 1!",)),
        Prompt(("a",), 0.1), Prompt(("a",), 601.0), Prompt(("a",), float("nan")),
        Prompt(("a",), seed=-1), Prompt(("a",), seed=2**63),
    ],
)  # fmt: skip
def test_bad_prompts_have_a_code(prompt: Prompt) -> None:
    with pytest.raises(InputError) as error:
        checked(prompt)
    assert error.value.code == "bad-prompt"


def test_lines_tabs_and_other_scripts_are_texts() -> None:
    for text in ("it goes\nleft", "it\tgoes", "走る", "é"):
        assert checked(Prompt((text,))).texts == (text,)
