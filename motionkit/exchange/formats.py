"""The formats by name: what `motionkit export` and `motionkit import` do."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from motionkit.errors import InputError, UsageError
from motionkit.exchange import coco, coco_read, hf_folder, humanml, webdataset
from motionkit.exchange.amass import import_amass
from motionkit.exchange.folders import check_apart
from motionkit.exchange.rows import import_origin
from motionkit.shards.from_samples import SetSummary, write_set
from motionkit.shards.reader import open_shards
from motionkit.shards.schema import SPLITS
from motionkit.shards.split import SplitShares


@dataclasses.dataclass(frozen=True)
class Format:
    """How samples leave and come back; ``files`` lists what an import reads, for the manifest."""

    export: Callable[..., dict[str, Any]]
    read: Callable[..., Any]
    files: Callable[[Path], list[Path]]


FORMATS: Final[dict[str, Format]] = {
    "coco": Format(coco.export_coco, coco_read.read_coco, coco_read.coco_files),
    "webdataset": Format(
        webdataset.export_webdataset, webdataset.read_webdataset, webdataset.webdataset_files
    ),
    "humanml3d": Format(humanml.export_humanml, humanml.read_humanml, humanml.humanml_files),
    "hf": Format(hf_folder.export_hf, hf_folder.read_hf, hf_folder.hf_files),
}
#: Formats of motions: `import` writes motion files, no samples.
MOTIONS: Final = ("amass",)


def export_set(
    shards: Path, out: Path, form: str, *, split: str | None = None, **options: Any
) -> dict[str, Any]:
    """Write the shard set ``shards`` (of one ``split``) as the folder ``out`` in a format of
    `FORMATS`; returns its counts. Raises UsageError for an unknown format or split, and where
    ``out`` holds something else; ShardError where the set is damaged."""
    if split not in (None, *SPLITS):
        raise UsageError(f"there is no split {split!r}.", hint=f"choose from: {SPLITS}")
    chosen = _format(form, ())
    return chosen.export(open_shards(Path(shards)), Path(out), split=split, **options)


def import_set(
    source: Path,
    out: Path,
    form: str,
    *,
    fps: float | None = None,
    shares: SplitShares | None = None,
) -> SetSummary | dict[str, Any]:
    """Read ``source`` into the shard set ``out``; for ``amass`` into a folder of motions.

    Samples keep the split that they come with. ``fps`` is the rate of files that state none (for
    ``amass`` the rate to resample to). Raises UsageError where ``source`` is not there or no
    sample is good; InputError with the codes of the format where a file cannot be read at all.
    """
    source, out = Path(source), Path(out)
    if not source.exists():
        raise UsageError(f"{source} does not exist.", hint="name a file or a folder")
    check_apart(out, source)
    if form in MOTIONS:
        return import_amass(source, out, fps=fps)
    chosen = _format(form, MOTIONS)
    files = chosen.files(source)
    if not files:
        raise InputError("nothing-to-import", f"{source} holds no file of the format {form}")
    left_out: Counter[str] = Counter()
    return write_set(
        chosen.read(source, left_out, fps=fps),
        out,
        origin=import_origin(form, source, files),
        left_out=left_out,
        shares=shares,
    )


def _format(form: str, more: tuple[str, ...]) -> Format:
    if form not in FORMATS:
        raise UsageError(
            f"there is no format {form!r}.", hint=f"choose from: {', '.join([*FORMATS, *more])}"
        )
    return FORMATS[form]
