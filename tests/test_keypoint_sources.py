from pathlib import Path

import numpy as np
import pytest

from motionkit.errors import ShardError, UsageError
from motionkit.generation.lift_inputs import KeypointClip, UnreadClip
from motionkit.keypoint_sources import gather
from motionkit.workspace import Workspace
from tests.exchange.sets import make_set, person, thing

FINGERPRINT = "f" * 32


def m2d(frames: int = 6) -> np.ndarray:
    found = np.random.default_rng(frames).random((frames, 18, 3), np.float32)
    found[:, 17] = (640, 360, 1)
    return found


def make_workspace(folder: Path) -> Workspace:
    made = Workspace.create(folder)
    base = {"fingerprint": FINGERPRINT, "outcome": "kept", "attempt": 1}
    rows = [
        {**base, "item_id": f"v-{n}", "clip_id": f"v-{n}", "video_id": "v", "fps": 30.0,
         "width": 640, "height": 360, "frames": n, "ordinals": np.arange(n) + 5, "m2d": m2d(n)}
        for n in (7, 6)
    ]  # fmt: skip
    made.write_part("keypoints", rows)
    made.set_current("keypoints", FINGERPRINT, {})
    video = {**base, "item_id": "s", "video_id": "v", "path": "/films/v.mp4", "decoder": "pyav"}
    made.write_part("videos", [video])
    made.set_current("videos", FINGERPRINT, {})
    return made


def all_of(names: list[str], workspace: Path, **options: object) -> tuple[int, list[object]]:
    total, found = gather(names, workspace, **options)  # type: ignore[arg-type]
    return total, list(found)


def test_ids_are_looked_up_in_the_workspace_with_their_video(tmp_path: Path) -> None:
    make_workspace(tmp_path / "ws")
    total, [one, lost] = all_of(["v-6", "nobody"], tmp_path / "ws")
    assert total == 2
    assert isinstance(one, KeypointClip)
    assert np.array_equal(one.m2d, m2d(6))
    assert one.film is not None
    assert (one.film.path, one.film.decoder) == ("/films/v.mp4", "pyav")
    assert one.film.ordinals.tolist() == [5, 6, 7, 8, 9, 10]
    assert one.origin == {"clip_id": "v-6", "video_id": "v"}
    assert isinstance(lost, UnreadClip)
    assert lost.code == "clip-unknown"


def test_all_means_every_clip_in_order(tmp_path: Path) -> None:
    make_workspace(tmp_path / "ws")
    total, found = all_of([], tmp_path / "ws", everything=True)
    assert (total, [c.name for c in found]) == (2, ["v-6", "v-7"])  # type: ignore[attr-defined]


def test_shards_give_persons_of_a_split_or_by_id(tmp_path: Path) -> None:
    rows = [person(n) for n in range(16)] + [thing(20)]
    make_set(tmp_path / "shards", rows)
    _, val = all_of([], tmp_path, split="val")  # the workspace's own set
    assert {c.origin["sample_id"] for c in val} == {  # type: ignore[attr-defined]
        r["sample_id"] for r in rows if r["split"] == "val" and r["kind"] == "person"
    }
    wanted = rows[3]["sample_id"]
    total, found = all_of([wanted, "nobody"], tmp_path / "none", shards=tmp_path / "shards")
    assert total == 2
    assert [type(c) for c in found] == [KeypointClip, UnreadClip]
    assert found[0].origin["video_id"] == rows[3]["video_id"]  # type: ignore[attr-defined]
    _, every = all_of([], tmp_path / "none", shards=tmp_path / "shards", everything=True)
    assert len(every) == 16
    with pytest.raises(ShardError, match="no split"):
        all_of([], tmp_path, split="trian")


def test_files_have_names_of_their_own_and_a_bad_one_stops_nothing(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "kp ä.npz", m2d=m2d())
    (tmp_path / "bad.json").write_text("nonsense")
    names = [str(tmp_path / "a" / "kp ä.npz"), str(tmp_path / "bad.json"),
             str(tmp_path / "b" / "kp ä.npz")]  # fmt: skip
    total, found = all_of(names, tmp_path / "no-workspace")
    assert total == 3
    assert [c.name for c in found] == ["kp=20=c3=a4", "bad", "kp=20=c3=a4-2"]  # type: ignore[attr-defined]
    assert isinstance(found[1], UnreadClip)
    assert found[1].code == "keypoints-unreadable"


def test_a_video_is_told_what_comes_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        all_of([str(tmp_path / "walk.MP4")], tmp_path)
    assert "motionkit run people --source" in str(error.value.hint)
    assert "motionkit lift --all" in str(error.value.hint)


def test_wrong_uses_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for names, options, what in (
        ([], {}, "no clip is named"),
        ([str(tmp_path / "gone.npz")], {}, "no file"),
        ([str(tmp_path / "notes.txt")], {}, "no file of keypoints"),
        (["id"], {"everything": True}, "exclude"),
    ):
        with pytest.raises(UsageError, match=what):
            all_of(names, tmp_path, **options)  # type: ignore[arg-type]
