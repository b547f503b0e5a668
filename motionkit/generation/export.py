"""A trained K2M for inference elsewhere: graphs, what is needed to run them, and proof of parity.

Every graph is compared with the eager modules on random inputs of several lengths and batches
before the folder appears; where one differs by more than the tolerance, nothing is published.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import MotionkitError, UsageError, need_packages
from motionkit.file_hash import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

    from motionkit.generation.export_graphs import Graph

FORMATS = ("onnx", "torch")
FORMAT = "motionkit-k2m"
VERSION = 1
#: Largest difference from the eager modules, in each output's own unit (radians, metres, logits).
TOLERANCE = 1e-3
_OPSET = 18
_SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}
#: Batches and token steps that are compared; None: as many steps as the graph takes.
_CASES: tuple[tuple[int, int | None], ...] = ((1, 2), (3, 7), (2, 20), (1, None))

Run = Callable[[Sequence[NDArray[Any]]], list[NDArray[Any]]]


@dataclass(frozen=True)
class ExportedGraph:
    """One file of an export."""

    name: str
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float
    """Largest absolute difference from the eager module over all cases and outputs."""
    cases: tuple[tuple[int, int], ...]
    """Batches and token steps that were compared."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    form: str
    graphs: tuple[ExportedGraph, ...]
    tolerance: float
    bytes: int


def export_k2m(
    model: Path,
    out: Path,
    *,
    form: str = "onnx",
    tolerance: float = TOLERANCE,
    progress: Callable[[str, int, int], None] | None = None,
) -> Exported:
    """Writes the K2M at ``model`` (folder or file) into the folder ``out``.

    ``form`` is onnx or torch (.pt2 of torch.export). An older export at ``out`` is replaced.
    UsageError for another form, or where ``out`` holds something else; MissingExtraError without
    the packages; MotionkitError where a graph is not the model within ``tolerance``.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}.", hint=f"choose from: {', '.join(FORMATS)}")
    if form == "onnx":
        need_packages(("onnx", "onnxscript", "onnxruntime"), "export", "exporting to ONNX")
    _check_replaceable(out)
    from motionkit.generation.export_graphs import graphs_of
    from motionkit.training.k2m import MODEL_FILE, load_model

    tokenizer, text, facts = load_model(model)
    for part in (tokenizer, text):
        part.eval().requires_grad_(False)
    graphs = graphs_of(tokenizer, text, int(facts["sizes"]["transformer"]["text_dim"]))
    folder = out.with_name(out.name + ".part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        made = []
        for index, graph in enumerate(graphs):
            if progress is not None:
                progress("export", index, len(graphs))
            made.append(_export(graph, folder, form, tolerance))
        digest = sha256_of(model / MODEL_FILE if model.is_dir() else model)
        about = _about(tokenizer, text, facts, digest)
        about |= {"form": form, "tolerance": tolerance,
                  "graphs": {g.name: dataclasses.asdict(g) for g in made}}  # fmt: skip
        if form == "onnx":
            here = Path(__file__).with_name("onnx_runtime.py")
            shutil.copyfile(here, folder / "run.py")
        (folder / "config.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        size = sum(p.stat().st_size for p in folder.iterdir())
        _publish(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if progress is not None:
        progress("export", len(graphs), len(graphs))
    return Exported(out, form, tuple(made), tolerance, size)


def _export(graph: Graph, folder: Path, form: str, tolerance: float) -> ExportedGraph:
    """Exports one graph and compares what is in its file with the module."""
    path = folder / f"{graph.name}{_SUFFIX[form]}"
    run = (_to_onnx if form == "onnx" else _to_torch)(graph, path)
    cases = tuple((b, min(u or graph.most_steps, graph.most_steps)) for b, u in _CASES)
    worst, where = compare(graph, run, cases)
    if not worst <= tolerance:  # not a number as well
        raise MotionkitError(
            f"the exported {graph.name} differs from the model by {worst:.2g} in {where}; "
            f"{tolerance:.2g} is allowed. Nothing was written.",
            hint="report it, please; --tolerance allows more",
        )
    return ExportedGraph(graph.name, path.name, graph.inputs, graph.outputs, worst, cases)


def compare(
    graph: Graph, run: Run, cases: Sequence[tuple[int, int]], *, seed: int = 0
) -> tuple[float, str]:
    """Largest absolute difference of ``run`` from the eager module on real steps, and of which
    output; nan or inf where one has numbers and the other has none."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    worst, where = 0.0, graph.outputs[0]
    for batch, steps in cases:
        inputs = graph.example(batch, steps, draw)
        with torch.no_grad():
            expected = graph.module(*inputs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = run([value.numpy() for value in inputs])
        for name, one, other in zip(graph.outputs, expected, found, strict=True):
            gap = np.abs(one.numpy().astype(np.float64) - other)
            if name in graph.timed:
                gap = gap[_real(graph, inputs, gap.shape[1])]
            most = float(gap.max())
            if not most <= worst:
                worst, where = most, name
    return worst, where


def _real(graph: Graph, inputs: Sequence[Tensor], steps: int) -> NDArray[np.bool_]:
    """Which steps of an output are no padding [B, steps]."""
    real = inputs[graph.inputs.index("real")].numpy()
    return np.repeat(real, steps // real.shape[1], 1)


def _program(graph: Graph) -> Any:
    import torch

    draw = torch.Generator().manual_seed(1)
    # two and more: torch.export takes a size of one for a constant
    inputs = graph.example(2, 5, draw)
    shapes = tuple(graph.shapes[name] for name in graph.inputs)
    with torch.no_grad():
        return torch.export.export(graph.module, inputs, dynamic_shapes=shapes, strict=False)


def _to_onnx(graph: Graph, path: Path) -> Run:
    import onnxruntime
    import torch

    from motionkit.generation.export_graphs import onnx_translations

    with _quiet():
        made = torch.onnx.export(
            _program(graph),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            custom_translation_table=onnx_translations(),
        )
        if made is None:
            raise AssertionError("torch.onnx.export gave no program")
        made.save(str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if [i.name for i in session.get_inputs()] != list(graph.inputs):
        raise MotionkitError(f"the exported {graph.name} lost an input", hint="report it, please")
    return lambda values: session.run(
        list(graph.outputs), dict(zip(graph.inputs, values, strict=True))
    )


def _to_torch(graph: Graph, path: Path) -> Run:
    import torch

    with _quiet():
        torch.export.save(_program(graph), path)
        program = torch.export.load(path).module()  # our own file, written a line above

    def run(values: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        with torch.no_grad():
            found = program(*(torch.from_numpy(v) for v in values))
        return [v.numpy() for v in (found if isinstance(found, tuple) else (found,))]

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' own remarks (missing torchvision, deprecations inside torch)."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _about(tokenizer: Any, text: Any, facts: dict[str, Any], model: str) -> dict[str, Any]:
    """What running the graphs takes, beside the graphs."""
    import torch

    import motionkit
    from motionkit.bodies.body_torch import FOCAL_PX
    from motionkit.bodies.skeleton import JOINTS, PARENTS, REST_OFFSETS, SHAPE_BASIS, SHAPE_STEP
    from motionkit.generation.world import FPS
    from motionkit.models.k2m.sampling import LENGTH_QUANTILE, SamplingConfig
    from motionkit.models.k2m.tokenizer import VISIBLE_HEIGHT_M
    from motionkit.models.k2m.transformers import VIEWS

    sizes = facts["sizes"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "writer": {"motionkit": motionkit.__version__, "torch": torch.__version__},
        "model": model,
        "fps": FPS,
        "down": tokenizer.config.down,
        "confidence": tokenizer.config.confidence,
        "codes": text.masked.codes,
        "mask_id": text.masked.mask_id,
        "layers": text.residual.layers,
        "sampled_layers": text.sampled_layers,
        "max_tokens": sizes["transformer"]["max_tokens"],
        "views": VIEWS,
        "text": {
            "encoder": facts["encoder"],
            "dim": sizes["transformer"]["text_dim"],
            "weights": facts.get("encoder_weights"),
        },
        "sampling": {**dataclasses.asdict(SamplingConfig()), "length_quantile": LENGTH_QUANTILE},
        "camera": {"focal_px": FOCAL_PX, "visible_height_m": VISIBLE_HEIGHT_M},
        "skeleton": {
            "joints": list(JOINTS),
            "parents": list(PARENTS),
            "rest_offsets_m": REST_OFFSETS.tolist(),
            "shape_basis": SHAPE_BASIS.tolist(),
            "shape_step": SHAPE_STEP,
        },
    }


def _check_replaceable(out: Path) -> None:
    """UsageError where ``out`` is there and no export of ours."""
    if not out.exists():
        return
    try:
        known = json.loads((out / "config.json").read_text("utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(
            f"{out} holds something else than an export of K2M.", hint="choose another --out"
        )


def _publish(folder: Path, out: Path) -> None:
    """``folder`` takes the place of ``out``."""
    old = out.with_name(out.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.replace(old)
    folder.replace(out)
    shutil.rmtree(old, ignore_errors=True)
