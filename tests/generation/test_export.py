import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more
pytest.importorskip("safetensors")

from torch import nn  # noqa: E402

from motionkit.errors import MotionkitError, UsageError  # noqa: E402
from motionkit.generation import export as exporting  # noqa: E402
from motionkit.generation.export import compare, export_k2m  # noqa: E402
from motionkit.generation.export_graphs import Graph, graphs_of  # noqa: E402
from motionkit.models.k2m.observe import fill_gaps, observe  # noqa: E402
from motionkit.training.k2m import load_model  # noqa: E402
from tests.generation.lift_models import person, tiny_checkpoint  # noqa: E402

TEXT_DIM = 8
#: Exporting a graph takes seconds whatever its size; the two that are quick stand for all in what
#: is not about a graph itself.
QUICK = ("masked", "prior")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("model"), text_dim=TEXT_DIM)


@pytest.fixture(scope="module")
def graphs(model: Path) -> dict[str, Graph]:
    tokenizer, text, _ = load_model(model)
    for part in (tokenizer, text):
        part.eval().requires_grad_(False)
    return {graph.name: graph for graph in graphs_of(tokenizer, text, TEXT_DIM)}


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Exports hold the quick graphs alone."""
    with pytest.MonkeyPatch.context() as patch:
        module = "motionkit.generation.export_graphs.graphs_of"
        patch.setattr(module, lambda *a: [g for g in graphs_of(*a) if g.name in QUICK])
        yield


@pytest.fixture(scope="module")
def onnx_folder(model: Path, quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("export") / "onnx"
    export_k2m(model, folder, form="onnx")
    return folder


def sessions(folder: Path, name: str) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))


def test_every_part_is_a_graph_and_a_single_layer_has_no_residual(
    graphs: dict[str, Graph], model: Path
) -> None:
    assert list(graphs) == ["masked", "residual", "prior", "decoder", "lifter"]
    tokenizer, text, _ = load_model(model)
    text.residual.layers = 1
    assert "residual" not in [g.name for g in graphs_of(tokenizer, text, TEXT_DIM)]


@pytest.mark.parametrize("name", ["masked", "residual", "prior", "decoder", "lifter"])
def test_examples_fit_the_modules_at_any_length(name: str, graphs: dict[str, Graph]) -> None:
    graph = graphs[name]

    def eager(values: Any) -> Any:
        with torch.no_grad():
            found = graph.module(*map(torch.from_numpy, values))
        return [v.numpy() for v in (found if isinstance(found, tuple) else (found,))]

    assert compare(graph, eager, [(1, 1), (3, 5)])[0] == 0.0


def test_onnx_files_give_the_models_numbers_at_other_lengths_and_batches(
    onnx_folder: Path, graphs: dict[str, Graph]
) -> None:
    for name in QUICK:
        graph, session = graphs[name], sessions(onnx_folder, name)
        run = lambda values, g=graph, s=session: s.run(  # noqa: E731
            list(g.outputs), dict(zip(g.inputs, values, strict=True))
        )
        assert compare(graph, run, [(1, 1), (4, 11), (2, graph.most_steps)], seed=5)[0] < 1e-4


def test_padding_changes_nothing_in_the_exported_graph(onnx_folder: Path) -> None:
    session = sessions(onnx_folder, "masked")
    rng = np.random.default_rng(0)
    text = rng.normal(size=(1, TEXT_DIM)).astype(np.float32)
    given = {"text": text, "drop": np.array([False]), "view": np.array([3])}
    tokens = rng.integers(0, 16, (1, 9))
    short = session.run(None, {"tokens": tokens[:, :6], "real": np.ones((1, 6), bool), **given})
    padded = session.run(None, {"tokens": tokens, "real": np.arange(9)[None] < 6, **given})
    assert np.allclose(padded[0][:, :6], short[0], atol=1e-5)


def test_the_folder_says_all_that_running_it_takes(onnx_folder: Path) -> None:
    config = json.loads((onnx_folder / "config.json").read_text())
    assert config["format"] == "motionkit-k2m"
    assert (config["codes"], config["mask_id"], config["layers"], config["down"]) == (16, 16, 3, 4)
    assert config["fps"] == 30.0
    assert config["text"] == {"encoder": "minilm", "dim": TEXT_DIM, "weights": None}
    assert config["sampling"]["guidance"] > 0
    graph = config["graphs"]["masked"]
    assert (onnx_folder / graph["file"]).is_file()
    assert 0 <= graph["difference"] <= config["tolerance"]
    assert len({tuple(case) for case in graph["cases"]}) >= 3
    assert not [p for p in onnx_folder.parent.iterdir() if p != onnx_folder]


class _Gaps(nn.Module):
    def forward(self, m2d: Any, real: Any) -> Any:
        seen = observe(m2d, real, confidence=0.5)
        return fill_gaps(m2d[:, :, :17, :2], seen.seen), seen.points, seen.height, seen.cue


def test_what_onnx_lacks_is_translated_exactly(graphs: dict[str, Graph], tmp_path: Path) -> None:
    """Gaps are filled through running maxima, heights through a quantile that skips padding."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    outputs, timed = ("filled", "points", "height", "cue"), frozenset({"points", "cue"})
    graph = replace(graphs["lifter"], module=_Gaps(), outputs=outputs, timed=timed)
    run = exporting._to_onnx(graph, tmp_path / "gaps.onnx")
    assert compare(graph, run, [(1, 1), (3, 7), (2, 30)])[0] < 2e-3  # pixels


def test_torch_export_gives_the_models_numbers(graphs: dict[str, Graph], tmp_path: Path) -> None:
    run = exporting._to_torch(graphs["residual"], tmp_path / "residual.pt2")
    assert compare(graphs["residual"], run, [(1, 2), (3, 9)])[0] < 1e-5


def test_a_graph_that_differs_is_not_published(
    model: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Graph, path: Path) -> Any:
        path.write_bytes(b"x")

        def run(values: Any) -> Any:
            with torch.no_grad():
                found = graph.module(*map(torch.from_numpy, values))
            return [v.numpy() + 0.01 for v in (found if isinstance(found, tuple) else (found,))]

        return run

    monkeypatch.setattr(exporting, "_to_torch", wrong)
    with pytest.raises(MotionkitError, match=r"masked differs from the model by 0\.01"):
        export_k2m(model, tmp_path / "out", form="torch")
    assert list(tmp_path.iterdir()) == []
    made = export_k2m(model, tmp_path / "out", form="torch", tolerance=0.02)
    assert [g.name for g in made.graphs] == list(QUICK)
    assert made.graphs[0].difference == pytest.approx(0.01, rel=1e-3)


def test_numbers_that_are_none_are_a_difference(graphs: dict[str, Graph]) -> None:
    def nothing(values: Any) -> Any:
        return [np.full((len(values[0]), n), np.nan) for n in (20, 12)]

    assert not compare(graphs["prior"], nothing, [(1, 1), (2, 1)])[0] <= 1e9


def test_an_export_replaces_an_older_one_and_nothing_else(
    model: Path, quick: None, onnx_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "diary.txt").write_text("dear")
    with pytest.raises(UsageError, match="something else"):
        export_k2m(model, other, form="torch")
    assert (other / "diary.txt").read_text() == "dear"
    old = tmp_path / "old"
    shutil.copytree(onnx_folder, old)
    export_k2m(model, old, form="torch")
    assert sorted(p.name for p in old.iterdir()) == ["config.json", "masked.pt2", "prior.pt2"]
    with pytest.raises(UsageError, match="unknown format 'tflite'"):
        export_k2m(model, tmp_path / "x", form="tflite")


class _Recorded:
    """onnxruntime's part, played by the eager modules."""

    def __init__(self, graphs: dict[str, Graph]) -> None:
        self.graphs = graphs

    def run(self, name: str, **inputs: Any) -> dict[str, Any]:
        graph = self.graphs[name]
        with torch.no_grad():
            values = (torch.from_numpy(np.asarray(inputs[key])) for key in graph.inputs)
            found = graph.module(*values)
        found = found if isinstance(found, tuple) else (found,)
        return dict(zip(graph.outputs, (v.numpy() for v in found), strict=True))


def runner(folder: Path, graphs: dict[str, Graph]) -> Any:
    """`run.py` as the folder has it, imported from there."""
    spec = importlib.util.spec_from_file_location("run", folder / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Exported(folder)
    made.run = _Recorded(graphs).run
    return made


def test_run_py_generates_and_lifts(onnx_folder: Path, graphs: dict[str, Graph]) -> None:
    run = runner(onnx_folder, graphs)
    feature = np.random.default_rng(0).normal(size=TEXT_DIM)
    made = run.generate(feature, seconds=1.0, seed=1, layers=3)
    assert made["joints"].shape == (32, 24, 3)
    again = run.generate(feature, seconds=1.0, seed=1, layers=3)
    assert np.array_equal(made["pose"], again["pose"])
    other = run.generate(feature, seconds=1.0, seed=2, layers=3)
    assert not np.array_equal(made["pose"], other["pose"])
    assert len(run.generate(feature)["pose"]) % 4 == 0  # a predicted length
    with pytest.raises(ValueError, match="out of range"):
        run.generate(feature, seconds=100.0)
    lifted = run.lift(person(22))
    assert lifted["joints"].shape == (20, 24, 3)


def test_run_py_takes_the_likeliest_tokens_as_the_model_does(
    onnx_folder: Path, graphs: dict[str, Graph], model: Path
) -> None:
    """At temperature 0 nothing is left to chance: the same tokens as `sample_tokens`."""
    from motionkit.models.k2m.sampling import SamplingConfig, sample_tokens

    tokenizer, text, _ = load_model(model)
    feature = np.random.default_rng(3).normal(size=TEXT_DIM).astype(np.float32)
    cold: dict[str, Any] = {
        "temperature": 0.0, "residual_temperature": 0.0, "view_temperature": 0.0, "steps": 4,
        "layers": 3,
    }  # fmt: skip
    made = runner(onnx_folder, graphs).generate(feature, seconds=1.0, **cold)
    tokens, real = sample_tokens(
        text, torch.from_numpy(feature)[None], torch.tensor([8]),
        generator=torch.Generator().manual_seed(0), config=SamplingConfig(**cold),
    )  # fmt: skip
    with torch.no_grad():
        lifted = tokenizer.decode(tokens, real)
    assert np.allclose(made["pose"], lifted.pose[0].numpy(), atol=1e-4)


def test_run_py_opens_the_graphs_itself(onnx_folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("run", onnx_folder / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.Exported(onnx_folder).run("prior", text=np.zeros((2, TEXT_DIM), np.float32))
    assert found["view_logits"].shape == (2, 12)
    assert "motionkit" not in module.__dict__
