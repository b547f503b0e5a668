"""Writes docs/parameters.md: every parameter of every recipe section, read from the code.

Run as `python -m motionkit.parameter_tables docs/parameters.md`; a test checks that the
committed page is what this makes.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any

from motionkit.recipes import SETTINGS, STEPS, parameters_of

_HEAD = """# Parameters

Made from the code by `make format`. A recipe's section has these keys; on the command line
they are `--set KEY=VALUE` (nested ones as `--set tokenizer.steps=500`).
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for step in [*STEPS, *SETTINGS]:
        parts += _section(step, parameters_of(step))
    return "\n".join(parts)


def _section(name: str, cls: type) -> list[str]:
    lines = [f"## [{name}]\n", inspect.cleandoc(cls.__doc__ or "") + "\n"]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    meanings = _meanings(cls)
    nested: list[tuple[str, type]] = []
    for field in dataclasses.fields(cls):
        default = _default(field)
        if dataclasses.is_dataclass(default):
            nested.append((f"{name}.{field.name}", type(default)))
            continue
        shown = "" if default is dataclasses.MISSING else f"`{default!r}`"
        kind = str(field.type).replace("|", "or")
        lines.append(f"| `{field.name}` | {kind} | {shown} | {meanings.get(field.name, '')} |")
    lines.append("")
    for inner, inner_class in nested:
        lines += _section(inner, inner_class)
    return lines


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _meanings(cls: type) -> dict[str, str]:
    """Field name → the docstring or the comment on the field's line, base classes included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            found.update(_own_meanings(base))
    return found


def _own_meanings(cls: type) -> dict[str, str]:
    """Those of the fields that the class itself names."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    last: str | None = None
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
            _, _, comment = lines[node.lineno - 1].partition("  # ")
            if comment:
                found[last] = comment
        elif (
            last
            and isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            found[last] = " ".join(node.value.value.split()).replace("|", "\\|")
            last = None
        else:
            last = None
    return found


def main() -> None:
    """Write the page to the file named on the command line."""
    Path(sys.argv[1]).write_text(page(), "utf-8")
    print(sys.argv[1])


if __name__ == "__main__":
    main()
