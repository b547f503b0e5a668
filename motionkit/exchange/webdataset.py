"""WebDataset: tar files whose members of one sample share a key.

    OUT/train-000000.tar   KEY.json KEY.m2d.npy KEY.track_points.npy KEY.track_visible.npy KEY.txt

``.json`` holds ids, split, captions, masks and lineage, ``.txt`` the captions, one a line. Keys
are `rows.safe_name` of the sample id: no dots, no slashes.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from motionkit.arrays import MOST_BYTES, read_npy
from motionkit.errors import InputError
from motionkit.exchange.folders import export_folder
from motionkit.exchange.rows import from_plain, imported_lineage, plain_of, rows_of, safe_name
from motionkit.shards.from_samples import ARRAYS
from motionkit.shards.reader import ShardSet
from motionkit.shards.schema import SPLITS

KIND: Final = "webdataset"
ROWS: Final = 1000
_SIZE: Final = 256 << 20
#: Members of a foreign tar that we look at: anything else is passed over unread.
_READ: Final = ("json", "txt", "npy", *(f"{name}.npy" for name in ARRAYS))


def export_webdataset(
    shards: ShardSet, out: Path, *, split: str | None = None, rows: int = ROWS, size: int = _SIZE
) -> dict[str, Any]:
    """Write every sample; a tar ends after ``rows`` samples or ``size`` bytes. Returns counts.

    The same set gives the same bytes: members have no times, no owners and a fixed order.
    """
    facts: dict[str, Any] = {"splits": {}}
    with export_folder(out, KIND, shards.path, facts) as folder:
        for name in SPLITS if split is None else (split,):
            files = count = held = 0
            tar: tarfile.TarFile | None = None
            try:
                for row in rows_of(shards, name):
                    if tar is None or held >= rows or tar.offset >= size:
                        if tar is not None:
                            tar.close()
                        path = folder / f"{name}-{files:06d}.tar"
                        tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
                        files, held = files + 1, 0
                    _add_sample(tar, row)
                    count, held = count + 1, held + 1
            finally:
                if tar is not None:
                    tar.close()
            if count:
                facts["splits"][name] = {"samples": count, "files": files}
    return facts


def _add_sample(tar: tarfile.TarFile, row: Mapping[str, Any]) -> None:
    key = safe_name(row["sample_id"])
    plain = {k: v for k, v in plain_of(row).items() if v is not None}
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    members = {"json": text.encode()}
    for name in ARRAYS:
        if row[name] is not None:
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, row[name], version=(1, 0), allow_pickle=False)
            members[f"{name}.npy"] = buffer.getvalue()
    lines = [" ".join(c["text"].split()) for c in row["captions"] or ()]
    members["txt"] = ("\n".join(lines) + "\n").encode()
    for ending, data in members.items():
        info = tarfile.TarInfo(f"{key}.{ending}")
        info.size, info.mtime, info.mode = len(data), 0, 0o644
        tar.addfile(info, io.BytesIO(data))


def webdataset_files(source: Path) -> list[Path]:
    """The tar files of a folder, or the one file named."""
    return [source] if source.is_file() else sorted(source.glob("*.tar"))


def read_webdataset(
    source: Path, left_out: Counter[str], *, fps: float | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of every sample in tar files: our own, and plain ones with an array [F, 17 or 18, 3]
    as ``.npy``, captions as ``.txt`` (one a line) and a ``.json`` with width, height and fps.

    Nothing is unpacked to the disk. Raises InputError 'tar-unreadable' for a damaged file;
    samples that are malformed are counted in ``left_out``.
    """
    for path in webdataset_files(source):
        split = next((s for s in SPLITS if re.match(rf"{s}[-_.]", path.name)), None)
        for key, members in _samples(path):
            try:
                yield _row(path, key, members, split, fps)
            except InputError as error:
                left_out[error.code] += 1


def _samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and members of each sample: neighbours with one key, as webdataset groups them."""
    current, members = None, {}  # type: ignore[var-annotated]
    try:
        with tarfile.open(path, "r:*") as tar:
            for info in tar:
                folder, _, base = info.name.rpartition("/")
                stem, dot, ending = base.partition(".")
                if not info.isreg() or not dot:
                    continue
                key = f"{folder}/{stem}" if folder else stem
                if key != current:
                    if current is not None:
                        yield current, members
                    current, members = key, {}
                if ending.lower() in _READ and info.size <= MOST_BYTES:
                    stream = tar.extractfile(info)
                    members[ending.lower()] = stream.read() if stream else b""
            _check_end(tar, path)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise InputError("tar-unreadable", f"{path.name}: {error}") from error
    if current is not None:
        yield current, members


def _check_end(tar: tarfile.TarFile, path: Path) -> None:
    """InputError where a tar lacks its closing block of zeros: `tarfile` takes a file that was
    cut between two members, or within a header, for a whole one."""
    if tar.fileobj is None:
        return
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(512) != bytes(512):
        raise InputError("tar-unreadable", f"{path.name} is cut short", hint="copy it again")


def _row(
    path: Path, key: str, members: dict[str, bytes], split: str | None, fps: float | None
) -> dict[str, Any]:
    where = f"{path.name}: {key[:80]}"
    try:
        found = json.loads(members.get("json", b"{}"))
        text = members.get("txt", b"").decode()
    except (ValueError, RecursionError) as error:
        raise InputError("malformed-sample", f"{where}: {error}") from error
    row = from_plain(found, where)
    for name in ARRAYS:
        if f"{name}.npy" in members:
            row[name] = read_npy(members[f"{name}.npy"], where)
    lineage = imported_lineage(row.get("lineage"), KIND, path)
    if "sample_id" in row:
        return {**row, "lineage": lineage}
    if "npy" in members:
        row["m2d"] = read_npy(members["npy"], where)
    captions = [{"text": line.strip()} for line in text.splitlines() if line.strip()]
    plain = plain_row(key, row, where, fps)
    return {"split": split, "captions": captions, **plain, "source": path.name, "lineage": lineage}


def plain_row(name: str, row: Mapping[str, Any], where: str, fps: float | None) -> dict[str, Any]:
    """A row from foreign keypoints [F, 17, 3] or [F, 18, 3] (x, y in pixels, confidence).

    The size of the picture comes from the 18th entry, else from ``width`` and ``height``.
    Raises InputError 'malformed-sample' or 'no-rate'.
    """
    m2d = np.asarray(row.get("m2d", ()))
    if m2d.ndim == 2 and m2d.shape[1] in (51, 54):
        m2d = m2d.reshape(len(m2d), -1, 3)
    if m2d.ndim != 3 or m2d.shape[1:] not in ((17, 3), (18, 3)) or m2d.dtype.kind not in "fiu":
        raise InputError("malformed-sample", f"{where}: keypoints of shape {m2d.shape}")
    if not len(m2d):
        raise InputError("malformed-sample", f"{where}: no frames")
    rate = row.get("fps") or fps
    if not rate:
        raise InputError("no-rate", f"{where}: no frame rate", hint="give one with --fps")
    width, height = row.get("width"), row.get("height")
    if m2d.shape[1] == 18 and not (width and height):
        sizes = np.nan_to_num(m2d[0, 17, :2])
        width, height = int(np.clip(sizes[0], 0, 2**30)), int(np.clip(sizes[1], 0, 2**30))
    if not width or not height:
        raise InputError("no-size", f"{where}: no width and height of the picture")
    whole = np.empty((len(m2d), 18, 3), np.float32)
    whole[:, :17], whole[:, 17] = m2d[:, :17], (width, height, 1)
    plain = {k: v for k, v in row.items() if v is not None}
    made = {"sample_id": name, "kind": "person", **plain, "m2d": whole}
    return {**made, "frames": len(m2d), "fps": float(rate), "width": width, "height": height}
