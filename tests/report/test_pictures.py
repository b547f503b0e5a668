from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from motionkit.report.pictures import TILE_HEIGHT, contact_sheets
from motionkit.rle import encode_rle
from motionkit.video.draw import LEFT, MASK, RIGHT


def decode(source):
    data = base64.b64decode(source.split(",")[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


def near(picture, colour):
    return (np.abs(picture - np.array(colour)).sum(-1) < 90).sum()


def test_sheets_show_the_skeleton_on_every_frame(factory):
    factory.fill(videos=2, frames=60)
    sheets = list(contact_sheets(factory.workspace, 5))
    assert len(sheets) == 2
    for sheet in sheets:
        assert 5 <= len(sheet.tiles) <= 8 and sheet.tracked and not sheet.problem
        for tile in sheet.tiles:
            picture = decode(tile.source)
            assert picture.shape == (tile.height, tile.width, 3) and tile.height == TILE_HEIGHT
            assert near(picture, LEFT) > 50 and near(picture, RIGHT) > 50
    assert sheets[0].tiles[-1].time_s == pytest.approx(59 / 30, abs=0.01)


def test_the_choice_is_the_same_each_time_and_bounded(factory):
    factory.fill(videos=3, frames=60)
    first = [s.clip_id for s in contact_sheets(factory.workspace, 2)]
    assert len(first) == 2
    assert first == [s.clip_id for s in contact_sheets(factory.workspace, 2)]
    assert list(contact_sheets(factory.workspace, 0)) == []


def test_masks_are_outlined_where_there_are_some(factory):
    factory.fill(videos=1, frames=60)
    workspace = factory.workspace
    (plain,) = contact_sheets(workspace, 1)
    clip = next(iter(workspace.rows("keypoints", ["clip_id", "width", "height", "frames"])))
    mask = np.zeros((clip["height"], clip["width"]), bool)
    mask[clip["height"] // 4 : -20, clip["width"] // 3 : -clip["width"] // 3] = True
    counts = encode_rle(mask)["counts"]

    class WithMasks:
        def fingerprint(self, table):
            return "masks" if table == "masks" else workspace.fingerprint(table)

        def rows(self, table, columns, **rest):
            if table == "masks":
                return iter([{"clip_id": clip["clip_id"], "masks": [counts, *[None] * 59]}])
            return workspace.rows(table, columns, **rest)

    (sheet,) = contact_sheets(WithMasks(), 1)
    assert not sheet.problem
    assert (
        near(decode(sheet.tiles[0].source), MASK) > near(decode(plain.tiles[0].source), MASK) + 50
    )
    assert sheet.tiles[1].source == plain.tiles[1].source  # null: as without
