from pathlib import Path

import pytest

from motionkit.errors import UsageError
from motionkit.generation.outputs import Manifest, check_folder, slug, stem_of


def test_slugs_are_safe_names() -> None:
    assert slug("../../Über: a person, WALKS!") == "ber-a-person-walks"
    assert slug("走る") == "motion"
    assert len(slug("a" * 500)) <= 48


def test_other_requests_have_other_names_and_the_same_the_same() -> None:
    requests = [
        (["a person walks"], 1, {}),
        (["A person walks"], 1, {}),
        (["a person walks."], 1, {}),
        (["a person  walks"], 1, {}),
        (["a-person-walks"], 1, {}),
        (["a person walks 1"], 1, {}),
        (["a person walks"], 11, {}),
        (["a person walks"], 1, {"seconds": 2.0}),
        (["a person walks"], 1, {"seconds": 4.0}),
        (["a person walks", "a person sits"], 1, {}),
        (["走る"], 1, {}),
        (["歩く"], 1, {}),
        (["motion"], 1, {}),
        (["a" * 60], 1, {}),
        (["a" * 61], 1, {}),
    ]
    names = [stem_of(*request) for request in requests]
    assert len({name.lower() for name in names}) == len(requests)
    assert names == [stem_of(*request) for request in requests]
    assert names[0] == "a-person-walks-1"


def test_a_list_that_a_kill_cut_short_is_read_on(tmp_path) -> None:
    (tmp_path / "generated.jsonl").write_text('{"name": "a", "seed": 1}\n{"name": "b", "se')
    manifest = Manifest(tmp_path)
    manifest.add({"name": "c"})
    assert (tmp_path / "generated.jsonl").read_text().splitlines()[-1] == '{"name": "c"}'
    manifest.add({"line": 3, "code": "bad-prompt"})
    manifest.close()
    lines = (tmp_path / "generated.jsonl").read_text().splitlines()
    assert lines == [
        '{"name": "a", "seed": 1}',
        '{"name": "c"}',
        '{"code": "bad-prompt", "line": 3}',
    ]


def test_a_list_of_garbage_keeps_the_lines_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "generated.jsonl").write_bytes(b'\xff\xfe\x00\n{"name": "a"}\n[1]\n')
    manifest = Manifest(tmp_path)
    manifest.add({"name": "b"})
    manifest.close()
    lines = (tmp_path / "generated.jsonl").read_text().splitlines()
    assert lines == ['{"name": "a"}', '{"name": "b"}']


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "er")
    assert (tmp_path / "new" / "er").is_dir()
    (tmp_path / "file").write_text("x")
    for wrong in ("file", "file/below", "n" * 300):
        with pytest.raises(UsageError, match="nothing can be written into"):
            check_folder(tmp_path / wrong)
