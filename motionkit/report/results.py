"""What came of the data: the sections on training and on shards, as values for the template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.errors import ShardError
from motionkit.report.charts import curve, duration, number
from motionkit.report.curves import read_log
from motionkit.shards.reader import open_shards

_MAX_FILES: Final = 12
_MAX_CHARTS: Final = 18


def training_section(logs: Sequence[Path], charts: dict[str, Any]) -> list[dict[str, Any]]:
    """Charts of every stage of every log; the data for the pointer goes into ``charts``."""
    found: list[dict[str, Any]] = []
    for path in logs:
        try:
            stages, bad = read_log(path)
        except OSError as error:
            warning = f"{path.name} cannot be read: {error.strerror or error}"
            found.append({"warning": warning, "name": "", "charts": []})
            continue
        warning = ""
        if bad:
            lines = (
                "1 line that is no record was"
                if bad == 1
                else f"{bad} lines that are no records were"
            )
            warning = f"{path.parent.name}/{path.name}: {lines} left out."
        if not stages:
            warning = warning or f"{path.parent.name}/{path.name} holds no records yet."
            found.append({"warning": warning, "name": "", "charts": []})
        for stage in stages:
            drawn = []
            for chart in stage.charts[:_MAX_CHARTS]:
                key = f"curve{len(charts)}"
                svg, charts[key] = curve(chart, key=key)
                legend = [line.name for line in chart.lines]
                drawn.append({"title": chart.title, "svg": svg, "legend": legend})
            found.append(
                {
                    "warning": warning,
                    "name": f"{stage.log}: {stage.stage}",
                    "single": ", ".join(
                        f"{name} {number(value)} at step {step:,}"
                        for name, step, value in stage.single
                    ),
                    "records": f"{stage.records:,} record" + ("s" if stage.records != 1 else ""),
                    "last_step": f"{stage.last_step:,}",
                    "charts": drawn,
                }
            )
            warning = ""
    return found


def shards_section(
    path: Path | None,
) -> tuple[dict[str, Any] | None, str, dict[str, Any] | None]:
    """The shard tables, why there are none, and the manifest."""
    if path is None or not Path(path).exists():
        return None, "There are no shards yet.", None
    try:
        opened = open_shards(Path(path))
    except ShardError as error:
        return None, f"The shards cannot be shown: {error.message}", None
    manifest = opened.manifest
    rule = manifest["split_rule"]
    files = [{**s, "size": _size(s["bytes"])} for s in manifest["shards"][:_MAX_FILES]]
    shown = {
        "rule": (
            f"Split by group of near-duplicate videos ({rule['rule']} rule, salt "
            f"“{rule['salt']}”): {rule['groups']['crossing']} groups stand in two splits. "
            f"{manifest['totals']['with_tracks']:,} of {manifest['totals']['samples']:,} samples "
            "have point tracks."
        ),
        "splits": [
            (
                name,
                f"{s['samples']:,}",
                f"{s['videos']:,}",
                f"{s['captions']:,}",
                duration(s["hours"] * 3600),
            )
            for name, s in ((n, manifest["splits"][n]) for n in ("train", "val", "test"))
        ],
        "left_out": list(manifest["left_out"].items()),
        "files": files,
        "more": max(0, len(manifest["shards"]) - _MAX_FILES),
        "manifest_hash": opened.manifest_hash,
    }
    return shown, "", manifest


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
