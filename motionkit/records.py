"""The records that flow through motionkit, as Arrow schemas.

Every stage writes **one row an item** to one table. A row carries the outcome of that item
(`OUTCOME_FIELDS`, added by the engine) and, where it was kept, the payload listed here.
Several results of one item (the shots of a video, the candidate clips of a shot, the
captions of a clip) are lists inside that one row, so that a row, and with it an item, is
published whole or not at all.

Arrays are stored flat (`list<float>`); the field's metadata states the shape, the unit and
the coordinates. `F` is the number of frames, `T` tracked frames, `N` tracked points.

Coordinates are pixels of the video **as shown** (rotation applied), x right, y down, origin
in the top left corner. Times are seconds of presentation time; the first frame shown is 0.
Frames are addressed by ordinal: 0, 1, 2 … in the order they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Version of the table schemas; written into every part file, checked when read.
TABLES_VERSION: Final = 3
#: Version of the shard schema.
SHARDS_VERSION: Final = 2


def array(kind: pa.DataType, shape: str, meaning: str) -> tuple[pa.DataType, dict[str, str]]:
    """A flat list column with its shape and meaning as field metadata."""
    return pa.list_(kind), {"shape": shape, "meaning": meaning}


def full_array(kind: pa.DataType, shape: str, meaning: str) -> tuple[pa.DataType, dict[str, str]]:
    """As `array`, without nulls inside: Parquet then reads a quarter faster (docs/loader.md)."""
    inner = pa.field("element", kind, nullable=False)
    return pa.list_(inner), {"shape": shape, "meaning": meaning}


def _schema(**columns: pa.DataType | tuple[pa.DataType, dict[str, str]]) -> pa.Schema:
    fields = []
    for name, spec in columns.items():
        if isinstance(spec, tuple):
            fields.append(pa.field(name, spec[0], metadata=spec[1]))
        else:
            fields.append(pa.field(name, spec))
    return pa.schema(fields)


#: Written by the engine in front of every stage's payload.
OUTCOME_FIELDS: Final = _schema(
    item_id=pa.string(),  # the input's id: source, video, shot or clip
    fingerprint=pa.string(),  # what made the row: stage, version, parameters, backend
    stamp=pa.string(),  # the input's own version (a file's size and time …); null where it has none
    outcome=pa.string(),  # kept | dropped | failed
    reason=pa.string(),  # stable: why dropped, or the failure's code; null when kept
    measured=pa.float64(),  # the value that decided, where one did
    threshold=pa.float64(),  # the limit it was held against
    attempt=pa.int32(),  # 1, 2 … ; a retry appends a row, the highest counts
    error_type=pa.string(),
    error_message=pa.string(),
    error_traceback=pa.string(),
)

CAPTION: Final = pa.struct(
    [
        ("text", pa.string()),
        ("source", pa.string()),  # sidecar | kinematic | a captioner's spec, e.g. openai:AuroraCap
        ("detail", pa.string()),  # JSON: file and key, rule names, or model and prompt hash
    ]
)

#: A stretch of a video that the user named (a manifest's row), with its own texts. Times are
#: seconds of presentation time; null means the beginning or the end.
RANGE: Final = pa.struct(
    [
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("captions", pa.list_(CAPTION)),
        ("extra", pa.string()),  # JSON object: further columns of the manifest, kept as they are
    ]
)

SHOT: Final = pa.struct(
    [
        ("shot_id", pa.string()),
        ("first", pa.int32()),  # ordinals of the first and last frame, both inside
        ("last", pa.int32()),
        ("t0_s", pa.float64()),
        ("t1_s", pa.float64()),
        ("camera_kind", pa.string()),  # static | pan | tilt | zoom | shake | mixed
        ("range", pa.int32()),  # index into videos.ranges; null where the video has none
    ]
)

#: A further person of a shot, where all were asked for; arrays as the columns of `detections`.
PERSON: Final = pa.struct(
    [
        ("boxes", pa.list_(pa.float32())),  # F,5
        ("keypoints", pa.list_(pa.float32())),  # F,17,3
        ("person", pa.list_(pa.int32())),  # F
        ("confidences", pa.list_(pa.uint8())),  # F,17
        ("speed_bh_s", pa.list_(pa.float32())),  # F
        ("acceleration_bh_s2", pa.list_(pa.float32())),  # F
        ("body_height_px", pa.list_(pa.float32())),  # F
    ]
)

#: What the audit found in one caption of a clip.
FLAG: Final = pa.struct(
    [
        ("caption", pa.int32()),  # index into captions.captions
        ("code", pa.string()),  # stable: docs/codes.md
        ("measured", pa.float64()),
        ("detail", pa.string()),  # JSON: words, ids, what the keypoints show
    ]
)

THUMBNAIL: Final = pa.struct([("ordinal", pa.int32()), ("jpeg", pa.binary())])

#: One candidate stretch of one person in a shot, with every score and its verdict.
CANDIDATE: Final = pa.struct(
    [
        ("clip_id", pa.string()),
        ("first", pa.int32()),  # source frames, both inside
        ("last", pa.int32()),
        ("t0_s", pa.float64()),
        ("t1_s", pa.float64()),
        ("outcome", pa.string()),  # kept | dropped
        ("reason", pa.string()),  # stable; null when kept
        ("measured", pa.float64()),
        ("threshold", pa.float64()),
        ("camera", pa.float32()),  # highest camera score inside (see scans.camera)
        ("speed_bh_s", pa.float32()),  # mean keypoint speed, body heights per second
        ("acceleration_bh_s2", pa.float32()),
        ("confident_share", pa.float32()),  # keypoints over the confidence limit, share
        ("lower_body_share", pa.float32()),  # frames with knees and ankles all confident
        ("box_height", pa.float32()),  # mean box height, share of the image height
        ("camera_kind", pa.string()),  # of the shot: static | pan | tilt | zoom | shake | mixed
        ("speed_top_bh_s", pa.float32()),  # highest mean keypoint speed between measured frames
        ("person_share", pa.float32()),  # measured frames with the person in them
        ("body_height_px", pa.float32()),  # mean body height in pixels of the video
        ("person", pa.int32()),  # whose: 0 the columns of detections, k the k-th of its others
    ]
)

TABLES: Final[Mapping[str, pa.Schema]] = {
    # search; an item is one search text
    "searches": _schema(
        query=pa.string(),
        platform=pa.string(),  # the search that was asked, e.g. ytsearch
        most=pa.int32(),  # links that were asked for
        links=pa.list_(
            pa.struct([("url", pa.string()), ("title", pa.string()), ("platform_id", pa.string())])
        ),
    ),
    # fetch; an item is one address
    "downloads": _schema(
        url=pa.string(),  # what was asked for
        path=pa.string(),  # the file it became, absolute; null where it failed
        size_bytes=pa.int64(),
        query=pa.string(),  # the search that found it, null where it was named
        page_url=pa.string(),  # the page to hand on
        platform=pa.string(),  # the platform's name, e.g. youtube; http, s3 … for plain files
        platform_id=pa.string(),
        title=pa.string(),
        uploader=pa.string(),
        licence=pa.string(),  # as the platform states it
        downloaded=pa.string(),  # UTC date of the download, YYYY-MM-DD
        duration_s=pa.float64(),  # as the platform states it
    ),
    # ingest; an item is one source file (its path, size and time of change)
    "videos": _schema(
        video_id=pa.string(),  # from the content hash
        sha256=pa.string(),
        path=pa.string(),  # absolute
        source=pa.string(),  # what the user named: a file, a folder, an address
        size_bytes=pa.int64(),
        container=pa.string(),
        codec=pa.string(),
        width=pa.int32(),  # as shown, rotation applied
        height=pa.int32(),
        rotation=pa.int32(),  # degrees clockwise to turn the stored picture: 0, 90, 180, 270
        fps=pa.float64(),  # mean rate of the decoded frames
        duration_s=pa.float64(),  # presentation time of the last frame plus its length
        frames_declared=pa.int64(),  # null where the container does not say
        frames_decoded=pa.int64(),
        frames_damaged=pa.int64(),  # in the middle: left out, or decoded with errors
        variable_rate=pa.bool_(),
        decoder=pa.string(),  # decord | pyav | pyav-counted
        problems=pa.list_(pa.string()),  # stable codes, docs/codes.md
        frame_times_s=array(pa.float64(), "F", "presentation time of every frame, seconds"),
        licence=pa.string(),
        captions=pa.list_(CAPTION),  # sidecar texts found beside the file
        ranges=pa.list_(RANGE),  # stretches named by a manifest; empty or null: all of it
        extra=pa.string(),  # JSON object: further columns of a manifest's row without a range
        page_url=pa.string(),  # for downloads: see the table downloads
        platform=pa.string(),
        platform_id=pa.string(),
        title=pa.string(),
        uploader=pa.string(),
        downloaded=pa.string(),
    ),
    # expressions; an item is one sentence about one or more objects of a video (MeViS)
    "expressions": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),  # of the sample it becomes
        source_split=pa.string(),  # train | valid_u | valid, the folder it came from
        source_video=pa.string(),  # the data set's own ids
        source_expression=pa.string(),
        text=pa.string(),
        object_ids=pa.list_(pa.int64()),
        annotation_ids=pa.list_(pa.int64()),
        width=pa.int32(),
        height=pa.int32(),
        frames=pa.int32(),
        masks=array(
            pa.string(),
            "frames",
            "COCO compressed RLE (counts) of all its objects together; null where none is seen",
        ),
        extra=pa.string(),  # JSON object: unknown keys of the expression
    ),
    # scan; an item is a video
    "scans": _schema(
        video_id=pa.string(),
        frames=pa.int32(),
        camera=array(
            pa.float32(),
            "F",
            "camera motion since the frame before, share of the frame's width in 1/30 s; 0 first",
        ),
        cut_score=array(pa.float32(), "F", "how unlike this frame is the one before; 0 first"),
        shift=array(
            pa.float32(),
            "F,2",
            "how the camera shifts the picture since the frame before, x right, y down, share of "
            "the width in 1/30 s (a camera that pans right shifts it left)",
        ),
        zoom=array(pa.float32(), "F", "camera zoom since the frame before, log scale in 1/30 s"),
        hash_times_s=array(pa.float64(), "K", "middles of the hashed quarter seconds"),
        hashes=array(
            pa.int64(), "K,2", "64-bit words of appearance and change of each; docs/duplicates.md"
        ),
        shots=pa.list_(SHOT),
        thumbnails=pa.list_(THUMBNAIL),
    ),
    # detect, the first pass; an item is a shot
    "detections": _schema(
        video_id=pa.string(),
        first=pa.int32(),
        last=pa.int32(),
        width=pa.int32(),
        height=pa.int32(),
        ordinals=array(pa.int32(), "F", "source frames that were measured"),
        times_s=array(pa.float64(), "F", "their presentation times"),
        boxes=array(pa.float32(), "F,5", "x0, y0, x1, y1 in pixels, score; all 0 where nobody"),
        keypoints=array(pa.float32(), "F,17,3", "x, y in pixels, confidence 0..1"),
        person=array(pa.int32(), "F", "which person of the shot it is: 0, 1 …; -1 where nobody"),
        # A tenth of the bytes of `keypoints`, and all that verdicts need of them.
        confidences=array(pa.uint8(), "F,17", "keypoint confidences in steps of 1/255"),
        camera=array(pa.float32(), "F", "highest camera score since the measured frame before"),
        speed_bh_s=array(
            pa.float32(),
            "F",
            "mean keypoint speed since the measured frame before, body heights per second; nan "
            "where it cannot be told",
        ),
        acceleration_bh_s2=array(
            pa.float32(), "F", "mean keypoint acceleration, body heights per second squared; or nan"
        ),
        body_height_px=array(pa.float32(), "F", "body height in pixels; nan where nobody"),
        camera_kind=pa.string(),  # of the shot
        # All S source frames of the shot, so that verdicts need no other table.
        source_times_s=array(pa.float64(), "S+1", "when each is shown, and when the last ends"),
        source_camera=array(pa.float32(), "S", "their camera scores (see scans.camera)"),
        target=pa.string(),  # largest | central | all
        others=pa.list_(PERSON),  # the further people where target is all, else null
        backend=pa.string(),
        precision=pa.string(),  # fp32 | fp16 | bf16; null for the embedded backends
    ),
    # filter; an item is a shot
    "verdicts": _schema(
        video_id=pa.string(),
        candidates=pa.list_(CANDIDATE),
    ),
    # pose, the second pass; an item is a clip
    "keypoints": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),
        t0_s=pa.float64(),  # presentation time of the first source frame
        t1_s=pa.float64(),  # when the last one ends
        fps=pa.float64(),
        width=pa.int32(),
        height=pa.int32(),
        frames=pa.int32(),
        ordinals=array(pa.int32(), "F", "source frame shown at each output frame"),
        m2d=array(
            pa.float32(),
            "F,18,3",
            "17 COCO keypoints (x, y in pixels, confidence), then (width, height, 1)",
        ),
        boxes=array(pa.float32(), "F,5", "x0, y0, x1, y1 in pixels, score; all 0 where nobody"),
        backend=pa.string(),
        precision=pa.string(),
    ),
    # masks; an item is a clip
    "masks": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),
        width=pa.int32(),
        height=pa.int32(),
        frames=pa.int32(),
        ordinals=array(pa.int32(), "frames", "source frame of each mask"),
        masks=array(
            pa.string(), "frames", "COCO compressed RLE (counts) of the person; null where unseen"
        ),
        mask_source=pa.string(),  # sam2 | yolo-seg | grabcut | file
        backend=pa.string(),
        precision=pa.string(),
    ),
    # track; an item is a clip, or an expression's clip
    "tracks": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),
        fps=pa.float64(),
        width=pa.int32(),
        height=pa.int32(),
        frames=pa.int32(),  # T
        grid=pa.int32(),  # G; N = G * G
        ordinals=array(pa.int32(), "T", "source frame of each tracked frame"),
        points=array(pa.float32(), "T,N,2", "x, y in pixels"),
        visible=array(pa.bool_(), "T,N", "seen in that frame"),
        confidence=array(pa.float32(), "T,N", "0..1"),
        mask_source=pa.string(),  # file | expression | person-keypoints | as in masks
        backend=pa.string(),
        precision=pa.string(),
    ),
    # overlays; an item is a clip with tracks
    "overlays": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),
        frames=pa.int32(),  # T
        dim=pa.int32(),
        features=array(pa.float32(), "T,dim", "picture feature of each overlay frame, length 1"),
        colour=pa.string(),
        opacity=pa.float64(),
        backend=pa.string(),
        precision=pa.string(),
    ),
    # caption; an item is a clip
    "captions": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),
        captions=pa.list_(CAPTION),
    ),
    # audit; an item is a clip
    "audits": _schema(
        video_id=pa.string(),
        clip_id=pa.string(),
        captions=pa.int32(),  # captions that were looked at
        flags=pa.list_(FLAG),
    ),
}

#: Fixed precision of stored coordinates: pixels are rounded to 1/16 (a tenth of the best
#: estimators' error and less), confidences to 1/256. Rounded values compress better.
PIXEL_STEP: Final = 1 / 16
CONFIDENCE_STEP: Final = 1 / 256

#: One row of a shard: a clip with one target (a person or the objects of an expression) and its
#: captions.
SAMPLE: Final = _schema(
    sample_id=pa.string(),
    kind=pa.string(),  # person | object
    clip_id=pa.string(),
    video_id=pa.string(),
    group_id=pa.string(),  # near-duplicates share it; the split never parts a group
    split=pa.string(),  # train | val | test
    source=pa.string(),
    page_url=pa.string(),  # where the video can be fetched again; null for local files
    licence=pa.string(),
    t0_s=pa.float64(),
    t1_s=pa.float64(),
    first=pa.int32(),
    last=pa.int32(),
    fps=pa.float64(),
    width=pa.int32(),
    height=pa.int32(),
    frames=pa.int32(),
    m2d=full_array(
        pa.float32(),
        "18,3,frames",
        "17 COCO keypoints (x, y in pixels, confidence), then (width, height, 1), each over all "
        "frames: neighbours in time are neighbours on the disk, which is a fifth smaller; pixels "
        "in steps of 1/16, confidences in steps of 1/256; null where kind is object",
    ),
    track_frames=pa.int32(),  # null where the clip has no tracks
    track_first=pa.int32(),  # frame of the clip that the first tracked one is; 0 for persons
    track_grid=pa.int32(),
    track_points=full_array(
        pa.float32(),
        "track_frames,track_grid*track_grid,2",
        "x, y in pixels, in steps of 1/16",
    ),
    track_visible=full_array(
        pa.bool_(), "track_frames,track_grid*track_grid", "seen in that frame"
    ),
    masks=array(
        pa.string(),
        "frames",
        "COCO compressed RLE (counts, size height x width) of the person or the objects; null "
        "where not seen or not asked for; the column is null where the sample has none",
    ),
    captions=pa.list_(CAPTION),
    lineage=pa.string(),  # JSON: stage → fingerprint and backend
)


def unflatten(values: Any, *shape: int) -> NDArray[Any]:
    """A stored flat array as numpy in its shape; one entry may be -1.

    Raises ValueError where the length does not fit the shape.
    """
    return np.asarray(values).reshape(shape)
