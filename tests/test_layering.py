"""Who may import whom: docs/architecture.md, checked by reading the imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "motionkit"

BASE = {"errors", "records", "keypoints", "file_hash", "arrays"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "records": set(),
    "keypoints": set(),
    "arrays": {"errors"},
    "file_hash": set(),
    "measures": BASE,
    "conditions": {"errors"},
    "stage": {"errors"},
    "devices": {"errors"},
    "weights": {"errors", "file_hash"},
    "row_index": set(),
    "mirror": set(),
    "metrics": {"errors"},
    "rle": set(),
    "workspace": BASE | {"row_index"},
    "run_log": BASE | {"workspace"},
    "forecast": BASE | {"workspace", "run_log"},
    "status": BASE | {"workspace", "row_index", "engines"},
    "catalogue": BASE | {"workspace", "conditions", "status"},
    "duplicates": set(),
    "video": BASE | {"duplicates"},
    "bodies": BASE,
    "models": BASE | {"bodies"},
    "backends": BASE | {"video", "rle", "stage", "devices", "weights"},
    "sources": BASE | {"video"},
    "stages": BASE | {"stage", "video", "backends", "sources", "rle", "devices"},
    "thresholds": BASE | {"stages"},
    "flags": BASE | {"catalogue", "stages", "workspace"},
    "what_if": BASE | {"stages", "workspace"},
    "explain": BASE | {"stages", "workspace", "words_of_stages"},
    "words_of_stages": BASE,
    "engines": BASE | {"stage", "workspace", "devices"},
    "shards": BASE | {"stage", "workspace", "measures", "duplicates", "mirror", "rle", "weights"},
    "exchange": BASE
    | {"shards", "workspace", "stage", "stages", "engines", "video", "sources", "bodies"}
    | {"duplicates", "measures"},
    "training": BASE | {"shards", "models", "bodies", "backends", "mirror", "devices", "metrics"},
    "evaluation": BASE | {"shards", "models", "bodies", "training", "backends", "metrics"},
    "generation": BASE
    | {"models", "bodies", "training", "backends", "evaluation", "video", "shards", "rle"},
    "keypoint_sources": BASE | {"workspace", "shards", "exchange", "generation"},
    "synth": BASE | {"bodies", "video", "rle"},
}
#: What a GPU machine that only trains may lack.
NOT_FOR_TRAINING = {"decord", "duckdb", "mediapipe", "ultralytics", "av", "cv2", "typer"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer_of(dotted: str) -> str:
    return dotted.split(".")[1] if dotted.count(".") else ""


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    used = {layer_of(name) for name in imports_of(path) if name.startswith("motionkit.")}
    used -= {layer, "", "__version__"}
    if layer in MAY_IMPORT:
        assert used <= MAY_IMPORT[layer], f"{layer} must not import {used - MAY_IMPORT[layer]}"
    elif layer not in ("cli", "__main__"):
        assert "cli" not in used, "nothing imports cli"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "stages").glob("[a-z]*.py")), ids=lambda path: path.stem
)
def test_no_stage_imports_another(path: Path) -> None:
    others = {f"motionkit.stages.{p.stem}" for p in (ROOT / "stages").glob("[a-z]*.py")}
    used = {name for name in imports_of(path) if any(name.startswith(o + ".") for o in others)}
    assert not used


@pytest.mark.parametrize(
    "module",
    [
        "motionkit.training.k2m",
        "motionkit.shards.loader",
        "motionkit.shards.reader",
        "motionkit.evaluation.lifting",
    ],
)
def test_training_imports_without_the_data_path(module: str) -> None:
    script = (
        "import sys\n"
        f"blocked = {sorted(NOT_FOR_TRAINING)!r}\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in blocked: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"import {module}\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
