"""`generate lang2motion`, `retrieve`, `classify` and `edit`: options, results, exit codes."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
torch.set_num_threads(1)

from motionkit.cli.app import run  # noqa: E402
from motionkit.rle import encode_rle  # noqa: E402
from tests.evaluation import test_skeletons as skeletons  # noqa: E402
from tests.generation.tiny_trajectories import line_shards, tiny_model  # noqa: E402
from tests.training import lines  # noqa: E402

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "motionkit.backends.text_encoder.text_encoder", lambda name: lines.DirectionWords()
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with shards and a model, a mask in both forms, and an image."""
    folder = tmp_path_factory.mktemp("ws")
    line_shards(folder / "shards")
    (folder / "models" / "lang2motion").mkdir(parents=True)
    tiny_model(folder / "models" / "lang2motion")
    mask = np.zeros((90, 160), bool)
    mask[20:60, 30:90] = True
    cv2.imwrite(str(folder / "mask.png"), mask.astype(np.uint8) * 255)
    cv2.imwrite(str(folder / "empty.png"), np.zeros((90, 160), np.uint8))
    cv2.imwrite(str(folder / "image.png"), np.full((90, 160, 3), 80, np.uint8))
    cv2.imwrite(str(folder / "other.png"), np.full((45, 80, 3), 80, np.uint8))
    (folder / "mask.json").write_text(json.dumps(encode_rle(mask)))
    (folder / "bad.json").write_text('{"size": [90, 160], "counts": "~~~"}')
    (folder / "broken.png").write_bytes((folder / "image.png").read_bytes()[:60])
    (folder / "nothing.txt").write_text("\n \n")
    huge = bytearray((folder / "image.png").read_bytes())
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    (folder / "huge.png").write_bytes(huge)
    return folder


def call(place: Path, out: Path, *words: str) -> list[str]:
    named = [str(place / w[1:]) if w.startswith("@") else w for w in words]
    return [*named, "--workspace", str(place), "--json", *(["--out", str(out)] if out else [])]


def answer(place: Path, out: Any, capsys: Captured, *words: str, code: int = 0) -> Any:
    assert run(call(place, out, *words)) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def test_masks_of_both_kinds_start_the_same(place: Path, tmp_path: Path, capsys: Captured) -> None:
    grids = []
    for mask in ("@mask.png", "@mask.json"):
        words = ["generate", "lang2motion", "it goes left", "--mask", mask, "--image",
                 "@image.png", "--format", "npz,png"]  # fmt: skip
        made = answer(place, tmp_path / mask[1:], capsys, *words)["motions"]
        with np.load(made[0]["paths"][0]) as file:
            grids.append(file["points_px"][0])
            assert file["size"].tolist() == [160, 90]
        assert cv2.imread(made[0]["paths"][1]).shape == (270, 480, 3)
    assert np.array_equal(*grids)


def test_prompt_files_samples_and_a_retrieved_grid(
    place: Path, tmp_path: Path, capsys: Captured
) -> None:
    prompts = tmp_path / "p.jsonl"
    prompts.write_text(
        '{"text": "it goes up"}\n{"text": ""}\n{"text": "it goes down", "seed": 5}\n'
    )
    words = ["generate", "lang2motion", "--prompts", str(prompts), "--samples", "2",
             "--format", "npz"]  # fmt: skip
    made = answer(place, tmp_path, capsys, *words, code=1)
    assert [m["seed"] for m in made["motions"]] == [0, 1, 5, 6]
    assert all(m["source"].startswith("sample v") for m in made["motions"])
    assert [(f["line"], f["code"]) for f in made["failed"]] == [(2, "bad-prompt")]


def test_a_trajectory_s_motion_on_another_mask(
    place: Path, tmp_path: Path, capsys: Captured
) -> None:
    words = ["generate", "lang2motion", "--from", "v0002-0", "--format", "npz"]
    own = answer(place, tmp_path, capsys, *words)["motions"][0]
    other = answer(place, tmp_path, capsys, *words, "--box", "10,10,40,40")["motions"][0]
    assert own["source"] == "sample v0002-0" and other["source"] == "box 10,10,40,40"
    assert own["paths"] != other["paths"]
    again = answer(place, tmp_path, capsys, "generate", "lang2motion", "--from",
                   other["paths"][0], "--format", "npz")  # fmt: skip
    assert again["motions"][0]["frames"] == 8


GENERATE = ["generate", "lang2motion"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["  "], "empty"),
        ([], "give a text"),
        (["x", "--prompts", "p"], "one of them"),
        (["x", "--mask", "@empty.png"], "no pixel inside"),
        (["x", "--mask", "@none.png"], "there is no file"),
        (["x", "--mask", "@bad.json"], "bad.json"),
        (["x", "--mask", "@huge.png"], "60000"),
        (["x", "--mask", "@mask.png", "--image", "@other.png"], "160×90, the picture 80×45"),
        (["x", "--mask", "@mask.png", "--size", "80x45"], "160×90, the picture 80×45"),
        (["x", "--mask", "@mask.png", "--box", "1,1,9,9"], "exclude"),
        (["x", "--box", "600,300,90,90"], "not inside the picture, 640×360"),
        (["x", "--box", "1,2"], "is no box"),
        (["x", "--box", "1,1,9,9", "--grid", "6"], "trained with 3×3"),
        (["x", "--box", "1,1,9,9", "--image", "@broken.png"], "damaged"),
        (["x", "--box", "1,1,9,9", "--image", "@mask.json"], "no .jpg or .png"),
        (["x", "--image", "@image.png"], "where is the object"),
        (["--image", "@image.png", "--box", "1,1,30,30"], "no pictures in its space"),
        (["x", "--box", "1,1,9,9", "--format", "bvh"], "bvh"),
        (["x", "--box", "1,1,9,9", "--format", ","], "no format"),
        (["a\x00b", "--box", "1,1,9,9"], "U+0000"),
        (["x" * 100_000, "--box", "1,1,9,9"], "100000 characters"),
        (["--prompts", "@nothing.txt", "--box", "1,1,9,9"], "holds no prompt"),
        (["x", "--box", "10,10,-5,5"], "above 0"),
        (["x", "--box", "nan,1,1,1"], "is no box"),
        (["x", "--mask", "@broken.png"], "not a picture that can be read"),
        (["x", "--box", "1,1,9,9", "--seed", str(2**63)], "seeds go from 0"),
        (["x", "--box", "1,1,9,9", "--frames", "0"], "0 frames"),
        (["x", "--box", "1,1,9,9", "--colour", "pink"], "pink"),
        (["x", "--model", "@nowhere"], "no model"),
        (["--from", "nobody"], "neither a sample"),
        (["x", "--shards", "@nowhere"], "no shard set"),
    ],
)
def test_wrong_requests_are_named(
    words: list[str], problem: str, place: Path, tmp_path: Path, capsys: Captured
) -> None:
    code = run(call(place, tmp_path, *GENERATE, *words))
    assert code == (1 if "no shard set" in problem else 2)
    assert problem in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))


def test_outputs_that_cannot_be_written_are_told_before_any_work(
    place: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").write_text("x")
    box = ["--box", "1,1,50,50"]
    for words in ([*GENERATE, "it goes up", *box], ["edit", "style", "a", "b", *box],
                  ["classify", "--classes", "a,b"]):  # fmt: skip
        assert run(call(place, tmp_path / "file" / "x", *words)) == 2
        told = capsys.readouterr()
        assert "nothing can be written into" in told.err and "error" in json.loads(told.out)
    index = ["retrieve", "it goes up", "--index", str(tmp_path / "file")]
    assert run(call(place, None, *index)) == 1  # type: ignore[arg-type]
    assert "unexpected" not in capsys.readouterr().err
    assert run(call(place, None, "retrieve", "up", "--sheet", "a.jpg")) == 2  # type: ignore[arg-type]
    assert "no .png" in capsys.readouterr().err


def test_an_id_that_is_nowhere_is_no_text(place: Path, tmp_path: Path, capsys: Captured) -> None:
    name = "v0123456789abcdef-000000-000029-0123456789ab"
    words = ["edit", "style", name, "it goes up", "--box", "1,1,50,50"]
    assert run(call(place, tmp_path, *words)) == 2
    assert "has no sample" in capsys.readouterr().err
    made = answer(place, tmp_path, capsys, "edit", "style", "v0001-0", "it goes up",
                  "--format", "npz")  # fmt: skip
    assert [o["kind"] for o in made["operands"]] == ["sample", "text"]


def test_retrieve_goes_both_ways_and_draws(place: Path, tmp_path: Path, capsys: Captured) -> None:
    sheet = str(tmp_path / "new" / "s.png")
    found = answer(place, None, capsys, "retrieve", "it goes up", "--top", "4", "--sheet", sheet)
    assert [h["rank"] for h in found["hits"]] == [1, 2, 3, 4]
    assert found["to"] == "trajectories" and Path(sheet).stat().st_size > 1000
    back = answer(place, None, capsys, "retrieve", "v0004-1", "--top", "2")
    assert back["to"] == "texts" and back["hits"][0]["items"]
    own = answer(place, None, capsys, "retrieve", "v0004-1", "--to", "trajectories", "--top", "1")
    assert own["hits"][0]["item_id"] == "v0004-0"
    for words in (["retrieve", "x", "--to", "songs"], ["retrieve", "sample:nobody"],
                  ["retrieve", "v0004-1", "--sheet", sheet],
                  ["retrieve", "x", "--split", "no"]):  # fmt: skip
        assert run(call(place, None, *words)) == 2  # type: ignore[arg-type]
        capsys.readouterr()


def test_classify_skeletons_goes_on_after_a_bad_file(
    place: Path, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "skeletons"
    folder.mkdir()
    (folder / "S001C001P001R001A002.skeleton").write_text(skeletons.ntu_text([{"0a": 0.0}]))
    (folder / "b.json").write_text(
        json.dumps(skeletons.kinetics([[0.3], [0.4], [0.5]], label="left"))
    )
    (folder / "c.skeleton").write_text("nothing")
    two = {"11": (0.0, range(20), 0.4), "22": (1.0, range(20), 0.4)}
    (folder / "d.skeleton").write_text(skeletons.moving_ntu(two))
    words = ["classify", str(folder), "--classes", "left,right,up", "--template", "it goes {}"]
    made = answer(place, tmp_path / "all.jsonl", capsys, *words, code=1)["summary"]
    assert (made["items"], made["labelled"], made["classes"]) == (3, 2, 3)
    assert made["several_bodies"] == 1
    assert sum(made["failed"].values()) == 1 and made["chance_5"] == 1.0 and made["top_5"] == 1.0
    rows = [json.loads(r) for r in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [r.get("label") for r in rows[:2]] == ["right", "left"]
    assert set(rows[0]["classes"]) == {"left", "right", "up"}
    assert (rows[3]["bodies"], rows[3]["body"], rows[3]["chosen_by"]) == (2, "22", "motion")
    assert (rows[0]["bodies"], rows[0]["chosen_by"]) == (1, None)


def test_classify_the_tracks_of_shards(place: Path, tmp_path: Path, capsys: Captured) -> None:
    classes = tmp_path / "classes.txt"
    names = [w.format(d) for d in lines.DIRECTIONS for w in lines.WORDINGS]
    classes.write_text("".join(f"A{i:03d}. {n}\n" for i, n in enumerate(names, 1)))
    made = answer(place, None, capsys, "classify", "--classes", str(classes))
    assert made["summary"]["labelled"] == made["summary"]["items"] == 12
    assert 0 <= made["summary"]["top_1"] <= made["summary"]["top_5"] <= 1
    labels = tmp_path / "l.csv"
    labels.write_text("item,label\nv0000-0,it is travelling up\n")
    again = answer(place, None, capsys, "classify", "--classes", str(classes), "--labels",
                   str(labels))  # fmt: skip
    assert again["items"][0]["label"] == "it is travelling up"
    for words in (["classify"], ["classify", "--classes", "one"],
                  ["classify", "--classes", "a,A"], ["classify", "--classes", "none.txt"],
                  ["classify", str(place / "none"), "--classes", "a,b"],
                  ["classify", "--classes", "a,b\x07"],
                  ["classify", "--classes", "a,b", "--template", "x"],
                  ["classify", "--classes", "a,b", "--length", "z"]):  # fmt: skip
        assert run(call(place, None, *words)) == 2  # type: ignore[arg-type]
        capsys.readouterr()


def test_edits_write_motions_a_sheet_and_a_film(
    place: Path, tmp_path: Path, capsys: Captured
) -> None:
    box = ["--box", "100,100,60,60", "--format", "npz"]
    way = answer(place, tmp_path, capsys, "edit", "interpolate", "it goes left", "it goes up",
                 "--steps", "4", *box)  # fmt: skip
    assert [m["label"] for m in way["motions"]] == ["0%", "33%", "67%", "100%"]
    alone = answer(place, tmp_path, capsys, *GENERATE, "it goes up", *box)["motions"][0]
    ends = [np.load(p)["points"] for p in (way["motions"][3]["paths"][0], alone["paths"][0])]
    assert np.allclose(*ends, atol=1e-5)
    styled = answer(place, tmp_path, capsys, "edit", "style", "v0001-0", "it goes up",
                    "--strength", "0", "--format", "npz")  # fmt: skip
    own = answer(place, tmp_path, capsys, *GENERATE, "--from", "v0001-0", "--format", "npz")
    pair = [np.load(m["motions"][0]["paths"][0])["points"] for m in (styled, own)]
    assert np.allclose(*pair, atol=1e-5)
    total = answer(place, tmp_path, capsys, "edit", "arithmetic", "v0001-0", "-", "it goes left",
                   "+", "it goes right", "--format", "npz")  # fmt: skip
    assert total["motions"][0]["source"] == "sample v0001-0"
    for made in (way, styled, total):
        assert [Path(p).suffix for p in made["sheets"]] == [".png", ".mp4"]
        assert all(Path(p).stat().st_size > 500 for p in made["sheets"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["arithmetic", "it goes left", "-", "it goes left"], "cancel"),
        (["arithmetic", "a", "b"], "is no sum"),
        (["arithmetic", "a"], "is no sum"),
        (["arithmetic", "a", *(["+", "b"] * 16)], "17 terms"),
        (["interpolate", "a", "b", "--steps", "10000"], "10000 steps"),
        (["arithmetic", "a", "*", "b"], "is no sum"),
        (["interpolate", "a", "b", "--steps", "1"], "1 steps"),
        (["style", "a", "b", "--strength", "99"], "strength is 99"),
        (["style", "a", "none.npz"], "no file none.npz"),
    ],
)
def test_edits_that_make_nothing_are_named(
    words: list[str], problem: str, place: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert run(call(place, tmp_path, "edit", *words, "--box", "1,1,50,50")) == 2
    assert problem in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))
