"""The docs say what the program does: codes, commands, parameters, links."""

import ast
import re
from pathlib import Path

import pytest

from motionkit.parameter_tables import page
from motionkit.stages.filter import FRAME_REASONS, STRETCH_REASONS

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
CODE = re.compile(r"[a-z]+(-[a-z]+)+|corrupt|rotated|truncated")


def codes_in_the_code() -> set[str]:
    found: set[str] = {*FRAME_REASONS, *STRETCH_REASONS, "timeout", "worker-died"}
    for path in (ROOT / "motionkit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            first = node.args[0]
            if node.func.id in ("InputError", "Fault", "Dropped") and isinstance(
                first, ast.Constant
            ):
                found.add(first.value)
    return found


def test_every_code_is_explained() -> None:
    text = (ROOT / "docs" / "codes.md").read_text("utf-8")
    missing = {code for code in codes_in_the_code() if f"`{code}`" not in text}
    assert not missing


def test_the_parameter_page_is_current() -> None:
    text = (ROOT / "docs" / "parameters.md").read_text("utf-8")
    assert text == page(), "run: make format"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_local_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_command_is_in_the_readme_or_the_docs() -> None:
    from motionkit.cli import commands  # noqa: F401 - registers them
    from motionkit.cli.app import app

    text = "\n".join(path.read_text("utf-8") for path in PAGES)
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    missing = [name for name in names if f"motionkit {name}" not in text]
    assert not missing
