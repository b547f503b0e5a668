"""Trajectories from texts: first frames to the bit, seeds, retrieved grids, files, latents."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
torch.set_num_threads(1)

from motionkit.backends.tracking import grid_in_mask  # noqa: E402
from motionkit.errors import InputError, ShardError, UsageError  # noqa: E402
from motionkit.generation import lang2motion_grid as grids  # noqa: E402
from motionkit.generation.lang2motion import (  # noqa: E402
    GenerateConfig,
    GeneratedTrajectory,
    generate_trajectories,
)
from motionkit.generation.lang2motion_files import Drawing, read_trajectory  # noqa: E402
from motionkit.generation.lang2motion_index import nearest, open_index  # noqa: E402
from motionkit.generation.lang2motion_model import (  # noqa: E402
    TrajectoryModel,
    between,
    combined,
    unit,
    varied,
)
from motionkit.generation.lang2motion_operands import read_operands  # noqa: E402
from motionkit.generation.prompts import FailedPrompt, Prompt  # noqa: E402
from motionkit.rle import decode_rle  # noqa: E402
from motionkit.shards.reader import ShardSet, open_shards  # noqa: E402
from tests.generation.tiny_trajectories import line_shards, tiny_model  # noqa: E402
from tests.training import lines  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "motionkit.backends.text_encoder.text_encoder", lambda name: lines.DirectionWords()
        )
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryModel:
    return TrajectoryModel(tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return open_shards(line_shards(tmp_path_factory.mktemp("set") / "shards"))


def start(size: tuple[int, int] = (160, 90)) -> grids.StartGrid:
    return grids.grid_of_box((31, 17, 40, 30), size, 3)


def made(model: TrajectoryModel, out: Path, *texts: str, **options: Any) -> list[Any]:
    prompts = [Prompt((text,)) for text in texts or ("it goes left",)]
    if "index" not in options:
        options.setdefault("start", start())
    return list(generate_trajectories(model, prompts, out=out, **options))


def test_the_first_frame_is_the_grid_to_the_bit_in_pixels_and_shares(
    model: TrajectoryModel, tmp_path: Path
) -> None:
    mask = np.zeros((91, 163), bool)
    mask[11:67, 23:88] = True
    given = grids.grid_of_mask(mask, 3, "mask")
    assert np.array_equal(given.points, grid_in_mask(mask, 3))
    (one,) = made(model, tmp_path, start=given, formats=("npz", "json"))
    with np.load(one.paths[0]) as file:
        assert np.array_equal(file["points_px"][0], given.points)
        assert np.array_equal(file["points"][0], given.normalised())
        assert file["points"].shape == (8, 9, 2) and np.array_equal(file["mask"], mask)
        assert (int(file["grid"]), file["size"].tolist()) == (3, [163, 91])
        assert not np.array_equal(file["points"][-1], file["points"][0])
    plain = json.loads(one.paths[1].read_text())
    assert np.array_equal(np.float32(plain["points_px"][0]), given.points)
    assert np.array_equal(decode_rle(plain["mask"]), mask)
    assert plain["checkpoint"] == model.hash and plain["text"] == "it goes left"


def test_same_seed_same_bytes_and_a_motion_does_not_depend_on_its_company(
    model: TrajectoryModel, tmp_path: Path
) -> None:
    texts = [f"it goes {d}" for d in ("left", "right", "up", "down", "away")]
    many = made(model, tmp_path / "a", *texts, samples=4, formats=("npz",))
    again = made(model, tmp_path / "b", texts[2], seed=3, formats=("npz",))
    same = next(m for m in many if (m.text, m.seed) == (texts[2], 3))
    assert len({m.name for m in many}) == 20
    assert same.name == again[0].name
    assert same.paths[0].read_bytes() == again[0].paths[0].read_bytes()


def test_seed_0_is_the_text_s_own_and_variation_0_makes_all_alike(
    model: TrajectoryModel, tmp_path: Path
) -> None:
    zero, one, two = made(model, tmp_path, samples=3, formats=("npz",))
    assert np.array_equal(zero.motion.latent, model.texts(["it goes left"])[0])
    assert not np.array_equal(one.motion.points, two.motion.points)
    cosine = float(zero.motion.latent @ one.motion.latent)
    assert cosine == pytest.approx(np.cos(np.deg2rad(30)), abs=1e-5)
    still = made(model, tmp_path / "v", samples=2, formats=("npz",),
                 config=GenerateConfig(variation=0))  # fmt: skip
    assert np.array_equal(still[0].motion.points, still[1].motion.points)


def test_without_a_grid_one_is_retrieved_by_its_sentence_and_named(
    model: TrajectoryModel, shards: ShardSet, tmp_path: Path
) -> None:
    index = open_index(model, shards, tmp_path / "index", split="train")
    text = lines.WORDINGS[0].format("up")
    found = made(model, tmp_path, text, samples=6, formats=("json",), index=lambda: index)
    sample = {s.sample_id: s for s in shards.samples()}
    assert found[0].source.startswith("sample v")
    for one in found:
        own = sample[one.source.removeprefix("sample ")]
        assert np.array_equal(one.motion.points_px[0], own.tracks.points[0])
        assert one.motion.fps == own.fps
    first = sample[found[0].source.removeprefix("sample ")]
    assert text in {t for s in sample.values() if s.video_id == first.video_id
                    for t, _ in s.captions}  # fmt: skip
    assert len({one.source for one in found}) > 1
    placed = made(model, tmp_path / "p", text, formats=("npz",), index=lambda: index,
                  config=GenerateConfig(size=(320, 180)))  # fmt: skip
    assert np.allclose(placed[0].motion.points_px[0] * 2, first.tracks.points[0])


def test_bad_prompts_do_not_stop_the_others(model: TrajectoryModel, tmp_path: Path) -> None:
    prompts = [
        FailedPrompt(1, "", "bad-prompt", "x"),
        Prompt((" ",), line=2),
        Prompt(("a", "b"), line=3),
        Prompt(("a",), seconds=3.0, line=4),
        Prompt(("it goes up",), seed=7, line=5),
    ]
    found = list(generate_trajectories(model, prompts, out=tmp_path, start=start(),
                                       formats=("npz",)))  # fmt: skip
    assert [type(one) for one in found] == [FailedPrompt] * 4 + [GeneratedTrajectory]
    assert {one.code for one in found[:4]} == {"bad-prompt"} and found[4].seed == 7
    rows = [json.loads(row) for row in (tmp_path / "generated.jsonl").read_text().splitlines()]
    assert len(rows) == 5 and rows[0]["source"] == "box 31,17,40,30"


def test_ten_times_the_trained_length_is_finite(model: TrajectoryModel, tmp_path: Path) -> None:
    (one,) = made(model, tmp_path, formats=("npz",), config=GenerateConfig(frames=80))
    assert one.motion.points_px.shape == (80, 9, 2) and np.isfinite(one.motion.points_px).all()


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_films_show_the_points_on_the_image_and_are_the_same_again(
    kind: str, model: TrajectoryModel, tmp_path: Path
) -> None:
    image = np.full((90, 160, 3), 90, np.uint8)
    image[:, :, 2] = 20
    look = GenerateConfig(drawing=Drawing(colour="cyan", opacity=1))
    (one,) = made(model, tmp_path, formats=(kind,), image=image, config=look)
    (again,) = made(model, tmp_path / "2", formats=(kind,), image=image, config=look)
    assert one.paths[0].read_bytes() == again.paths[0].read_bytes()
    with av.open(str(one.paths[0])) as container:
        frames = [f.reformat(format="rgb24").to_ndarray() for f in container.decode(video=0)]
    assert len(frames) == 8 and frames[0].shape == (270, 480, 3)
    x, y = np.rint((one.motion.points_px[0, 4] + 0.5) * 3 - 0.5).astype(int)
    assert frames[0][y, x, 1] > 180 > frames[0][y, x, 0]  # cyan
    assert np.abs(frames[0][5, 5].astype(int) - (90, 90, 20)).max() < 16


def test_another_grid_is_refused(model: TrajectoryModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 16 points; this model moves 9"):
        made(model, tmp_path, start=grids.grid_of_box((0, 0, 40, 30), (160, 90), 4))
    with pytest.raises(UsageError, match="neither a grid nor an index"):
        list(generate_trajectories(model, [Prompt(("a",))], out=tmp_path))


def test_boxes_and_masks_that_cannot_be_are_named() -> None:
    for box, code in (((0, 0, 0, 4), "mask-empty"), ((150, 0, 20, 20), "box-outside"),
                      ((-1, 0, 20, 20), "box-outside"),
                      ((0, 0, 2, 2), "mask-too-small")):  # fmt: skip
        with pytest.raises(InputError) as caught:
            grids.grid_of_box(box, (160, 90), 3)
        assert caught.value.code == code
    with pytest.raises(InputError, match="no pixel inside"):
        grids.grid_of_mask(np.zeros((9, 9), bool), 3, "mask")
    for text in ("1,2,3", "a,b,c,d", "1,2,3,4,5", "1;2;3;4", ""):
        with pytest.raises(UsageError, match="is no box"):
            grids.parse_box(text)
    for text in ("640", "0x10", "99999x10", "axb"):
        with pytest.raises(UsageError, match="is no size"):
            grids.parse_size(text)


def test_latents_are_directions() -> None:
    rng = np.random.default_rng(0)
    a, b = unit(rng.normal(size=(2, 16)))
    assert np.allclose(combined([(1, a * 7), (-1, b), (1, b * 3)]), a, atol=1e-6)
    way = between(a, b, 5)
    assert np.allclose(way[0], a, atol=1e-6) and np.allclose(way[-1], b, atol=1e-6)
    steps = (way[:-1] * way[1:]).sum(1)
    assert np.allclose(np.linalg.norm(way, axis=1), 1) and np.ptp(steps) < 1e-6
    assert np.array_equal(between(a, a, 3), np.repeat(unit(a)[None], 3, 0))
    for wrong in (lambda: combined([(1, a), (-1, a)]), lambda: between(a, -a, 3)):
        with pytest.raises(InputError, match=r"direction|opposite"):
            wrong()
    assert np.array_equal(varied(a, 30, 0), unit(a))
    assert not np.array_equal(varied(a, 30, 1), varied(a, 30, 2))


def test_the_index_is_built_once_and_finds_what_a_full_search_finds(
    model: TrajectoryModel, shards: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motionkit.generation.lang2motion_index._READ", 5)
    monkeypatch.setattr("motionkit.generation.lang2motion_index._ROWS", 4)
    index = open_index(model, shards, tmp_path)
    assert (index.about["items"], len(index.items)) == (12, 12)
    again = open_index(model, shards, tmp_path)
    monkeypatch.setattr("motionkit.generation.lang2motion_index._build", None)
    assert again.path == open_index(model, shards, tmp_path).path
    latent = model.texts(["it goes up"])[0]
    scores = np.asarray(index.items) @ latent
    best = [row for row, _ in nearest(index.items, latent, 5)]
    assert best == np.argsort(-scores, kind="stable")[:5].tolist()
    hits = index.trajectories(latent, 30)
    assert [h.rank for h in hits] == list(range(1, 13))
    assert hits[0].item_id == f"v{best[0]:04d}-0" and len(hits[0].texts) == 2
    (operand,) = read_operands(model, ["v0003-1"], shards)
    assert np.allclose(operand.latent, index.items[3], atol=1e-6)
    assert operand.start is not None and operand.start.mask is not None
    own = index.trajectories(operand.latent, 1)[0]
    assert own.item_id == "v0003-0" and own.similarity == pytest.approx(1, abs=1e-5)
    said = index.sentences(operand.latent, 3)
    assert len(said) == 3 and said[0].items


def test_an_index_of_shards_without_such_tracks_is_a_wrong_request(
    shards: ShardSet, tmp_path: Path
) -> None:
    other = TrajectoryModel(tiny_model(tmp_path, grid=4))
    with pytest.raises(UsageError, match="no trajectory of 4×4 points"):
        open_index(other, shards, tmp_path / "i")
    assert not list((tmp_path / "i").iterdir())


def test_operands_say_what_they_are(
    model: TrajectoryModel, shards: ShardSet, tmp_path: Path
) -> None:
    (one,) = made(model, tmp_path, "it goes up", formats=("npz",))
    names = ["v0003-1", "text:v0003-1", str(one.paths[0]), "it goes up"]
    kinds = [operand.kind for operand in read_operands(model, names, shards)]
    assert kinds == ["sample", "text", "file", "text"]
    for name, code in (("sample:nobody", "sample-unknown"), ("no.npz", "trajectory-unreadable"),
                       (" ", "bad-prompt"), ("file:no", "trajectory-unreadable")):  # fmt: skip
        with pytest.raises(InputError) as caught:
            read_operands(model, [name], shards)
        assert caught.value.code == code, name


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"points_px": np.zeros((4, 9, 2))},
        {"points_px": np.zeros((4, 9)), "size": [64, 36]},
        {"points_px": np.full((4, 9, 2), np.nan), "size": [64, 36]},
        {"points_px": np.zeros((4, 9, 2)), "size": [0, 36]},
        {"points_px": np.zeros((4, 9, 2)), "size": [64, 36], "fps": -1},
        {"points_px": np.zeros((4, 9, 2)), "size": [64, 36], "visible": np.ones((4, 9))},
        {"points_px": np.array([{}], object), "size": [64, 36]},
    ],
)
def test_hostile_files_hold_no_trajectory(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match="holds no trajectory"):
        read_trajectory(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match="holds no trajectory"):
        read_trajectory(tmp_path / "b.npz")


def test_points_that_no_picture_has_or_that_nobody_sees_are_no_trajectory(tmp_path: Path) -> None:
    far = np.full((4, 9, 2), 1e30)
    hidden = np.zeros((4, 9), bool)
    unseen = {"points_px": far * 0, "visible": hidden}
    for arrays, said in (({"points_px": far}, "1e\\+30 pixels"), (unseen, "no point is visible")):
        np.savez(tmp_path / "a.npz", size=[64, 36], **arrays)
        with pytest.raises(InputError, match=said):
            read_trajectory(tmp_path / "a.npz")
    with pytest.raises(InputError, match="is a folder"):
        read_trajectory(tmp_path)


@pytest.mark.parametrize("grid", range(3, 11))
def test_every_grid_starts_where_it_is_laid_in_both_files(grid: int, tmp_path: Path) -> None:
    other = TrajectoryModel(tiny_model(tmp_path, grid=grid, frames=4))
    given = grids.grid_of_box((31, 17, 40, 33), (160, 90), grid)
    (one,) = made(other, tmp_path, start=given, formats=("npz", "json"))
    plain = json.loads(one.paths[1].read_text())
    with np.load(one.paths[0]) as file:
        assert file["points_px"].shape == (4, grid**2, 2)
        assert np.array_equal(file["points_px"][0], given.points)
        for name in ("points", "points_px"):
            assert np.array_equal(np.float32(plain[name]), file[name]), "JSON keeps every bit"


def test_many_samples_are_decoded_in_blocks(
    model: TrajectoryModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(model, tmp_path, samples=40, formats=("npz",))
    monkeypatch.setattr("motionkit.generation.lang2motion._POINTS", 9 * 8 * 3)
    monkeypatch.setattr("motionkit.generation.lang2motion._BLOCK", 7)
    held = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda a, b, c: (held.append(len(a)), decode(a, b, c))[1])
    parts = made(model, tmp_path / "p", samples=40, formats=("npz",))
    assert max(held) == 3 and sum(held) == 40
    for one, other in zip(whole, parts, strict=True):
        assert one.paths[0].read_bytes() == other.paths[0].read_bytes()


def test_an_index_gives_all_its_rows_and_one_of_mixed_files_is_refused(
    model: TrajectoryModel, shards: ShardSet, tmp_path: Path
) -> None:
    index = open_index(model, shards, tmp_path)
    rows = list(index.rows())
    assert [facts["item_id"] for _, facts in rows] == [index.item(i)["item_id"] for i in range(12)]
    assert all(np.array_equal(latent, index.items[i]) for i, (latent, _) in enumerate(rows))
    np.save(index.path / "items.npy", np.asarray(index.items)[:5])
    with pytest.raises(ShardError, match="not of one making"):
        open_index(model, shards, tmp_path)
