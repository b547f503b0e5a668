"""Recipes: pipelines/*.toml → configured stages.

A recipe has a section for each step it runs; a section's keys are the parameters of that
step, and what it leaves out keeps its default. Unknown keys are errors. `motionkit run NAME`
looks a name up among the recipes that travel with the package; a path is taken as it is.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from motionkit.errors import MissingExtraError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Steps in the order in which they run, and the dataclass of each one's parameters.
STEPS: dict[str, str] = {
    "search": "motionkit.stages.search:Search",
    "fetch": "motionkit.stages.fetch:Fetch",
    "ingest": "motionkit.stages.ingest:Ingest",
    "expressions": "motionkit.stages.expressions:Expressions",
    "scan": "motionkit.stages.scan:Scan",
    "detect": "motionkit.stages.detect:Detect",
    "filter": "motionkit.stages.filter:Filter",
    "pose": "motionkit.stages.pose:Pose",
    "masks": "motionkit.stages.masks:Masks",
    "track": "motionkit.stages.track:Track",
    "overlays": "motionkit.stages.overlays:Overlays",
    "caption": "motionkit.stages.caption:Caption",
    "audit": "motionkit.stages.audit:Audit",
    "shards": "motionkit.pipeline:ShardOptions",
    "train.k2m": "motionkit.training.k2m_config:K2MTrainConfig",
    "train.evaluator": "motionkit.training.evaluator_config:EvaluatorTrainConfig",
    "train.lang2motion": "motionkit.training.lang2motion_config:Lang2MotionTrainConfig",
    "evaluate.k2m": "motionkit.evaluation.k2m_report:K2MEvaluation",
    "evaluate.lang2motion": "motionkit.trajectories:Lang2MotionEvaluation",
    "report": "motionkit.pipeline:ReportOptions",
}
#: Steps whose section is nested and read by a function of their own.
READERS: dict[str, str] = {
    "train.k2m": "motionkit.training.k2m_config:from_table",
    "train.evaluator": "motionkit.training.evaluator_config:from_table",
    "train.lang2motion": "motionkit.training.lang2motion_config:from_table",
    "evaluate.k2m": "motionkit.evaluation.k2m_report:from_table",
}
#: Sections that are not steps.
SETTINGS: dict[str, str] = {"engine": "motionkit.engines.local:EngineOptions"}

Parameters = TypeVar("Parameters")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe with every section checked. ``steps`` maps a step to its parameters, in order."""

    name: str
    title: str
    steps: dict[str, Any]
    engine: Any

    def resolved(self) -> dict[str, Any]:
        """Every parameter of every step as plain values, defaults included: kept with results."""
        return {
            "recipe": self.name,
            **{step: _plain(parameters) for step, parameters in self.steps.items()},
        }


def parameters_of(step: str) -> type:
    """The dataclass that holds a step's (or setting's) parameters."""
    return _named({**STEPS, **SETTINGS}[step])


def step_parameters(step: str, values: Mapping[str, Any], where: str) -> Any:
    """A step's parameters from plain values, checked."""
    if step in READERS:
        return _named(READERS[step])(values)
    return build(parameters_of(step), values, where)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "train", needed_for="training") from error


def load_recipe(name_or_path: str, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name (`people`) or path. UsageError says which key or value is wrong.

    ``settings`` replace single values of it: ``SECTION.KEY=VALUE``, as in `parse_settings`. A
    section that the recipe lacks is added, and with it the step.
    """
    path = find_recipe(name_or_path)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct the line") from error
    _put(data, parse_settings(list(settings), "--set"))
    title = str(data.pop("title", path.stem))
    sections: dict[str, Any] = {}
    for key, value in data.items():
        if key in ("train", "evaluate") and isinstance(value, dict):
            sections.update({f"{key}.{model}": table for model, table in value.items()})
        else:
            sections[key] = value
    for section, value in sections.items():
        if section not in STEPS and section not in SETTINGS:
            raise UsageError(
                f"{path}: there is no section [{section}]{_nearest(section, [*STEPS, *SETTINGS])}.",
                hint=f"sections are: {', '.join([*STEPS, *SETTINGS])}",
            )
        if not isinstance(value, dict):
            raise UsageError(f"{path}: '{section}' must be a section: write [{section}]")
    steps = {
        step: step_parameters(step, sections[step], f"{path} [{step}]")
        for step in STEPS
        if step in sections
    }
    engine: Any = build(parameters_of("engine"), sections.get("engine", {}), f"{path} [engine]")
    return Recipe(path.stem, title, steps, engine)


def _put(data: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Values of nested tables into ``data``."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(data.setdefault(key, {}), dict):
            _put(data[key], value)
        else:
            data[key] = value


def find_recipe(name_or_path: str) -> Path:
    """The recipe file: a path that exists, else a shipped recipe of that name."""
    given = Path(name_or_path)
    if given.is_file():
        return given
    shipped = {path.stem: path for path in sorted(recipe_folder().glob("*.toml"))}
    if name_or_path in shipped:
        return shipped[name_or_path]
    names = ", ".join(shipped)
    raise UsageError(
        f"there is no recipe file {name_or_path!r} and no shipped recipe of that name.",
        hint=f"shipped recipes: {names}",
    )


def recipe_folder() -> Path:
    """Where the shipped recipes are: inside the wheel, or at the top of a checkout."""
    packaged = Path(__file__).parent / "_pipelines"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "pipelines"


def build(cls: type[Parameters], values: Mapping[str, Any], where: str) -> Parameters:
    """An instance of a parameter dataclass from plain values, checked by type and name."""
    model: type[pydantic.BaseModel] = model_of(cls)  # type: ignore[arg-type]
    names = list(model.model_fields)
    for key in values:
        if key not in names:
            raise UsageError(
                f"{where}: there is no parameter '{key}'{_nearest(key, names)}.",
                hint=f"parameters are: {', '.join(names)}",
            )
    try:
        checked = model(**dict(values))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{where}: {key} = {first['input']!r} is not right: {first['msg']}."
        ) from error
    given = {name: getattr(checked, name) for name in checked.model_fields_set}
    try:
        return cls(**given)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


@functools.cache
def model_of(cls: Any) -> type[pydantic.BaseModel]:
    """A pydantic model of a dataclass's fields: checks values, and gives the JSON schema."""
    import typing

    hints = typing.get_type_hints(cls)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            default: Any = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = pydantic.Field(default_factory=field.default_factory)
        else:
            default = ...
        fields[field.name] = (hints[field.name], default)
    config = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return pydantic.create_model(cls.__name__, __config__=config, **fields)


def parse_settings(settings: list[str], where: str) -> dict[str, Any]:
    """``["camera_max=0.03", "text.steps=50"]`` → nested values, read as TOML (a bare word is a
    string)."""
    values: dict[str, Any] = {}
    for text in settings:
        key, separator, value = text.partition("=")
        if not separator:
            raise UsageError(f"{where}: --set takes KEY=VALUE, not {text!r}.")
        *tables, last = key.strip().split(".")
        place = values
        for name in tables:
            place = place.setdefault(name, {})
        try:
            place[last] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            place[last] = value.strip()
    return values


def _nearest(word: str, words: list[str]) -> str:
    found = difflib.get_close_matches(word, words, n=1)
    return f" (did you mean '{found[0]}'?)" if found else ""


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
