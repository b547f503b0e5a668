from __future__ import annotations

import re

import pytest

from motionkit.report.build import build_report
from motionkit.report.object_section import shard_time
from motionkit.shards.build import build_shards
from tests.report.objects_world import add_objects
from tests.report.test_build import HOSTILE, Page


def page_of(factory, **options):
    out = build_report(factory.workspace, factory.path / "page.html", **options)
    html = out.read_text("utf-8")
    return Page(html), html


def plain(page):
    return re.sub(r"\s+", " ", page.text)


def headings(page):
    return {a["id"] for tag, a in page.tags if tag == "section"}


def shards_of(factory):
    return build_shards(factory.workspace, factory.path / "shards", min_s=0.5).path


def test_a_page_about_objects_asks_for_no_people(factory):
    add_objects(factory)
    page, html = page_of(factory, shards=shards_of(factory))
    text = plain(page)
    assert {"objects", "captions", "overview"} <= headings(page)
    assert not {"motion", "clips", "generated"} & headings(page)
    for said in ("motionkit pose", "motionkit detect", "motionkit caption", "train k2m", "filter"):
        assert said not in text
    assert "3 videos with 7 sentences about" in text
    tiles = re.findall(r'<div class="card number"><b>([^<]*)</b><span>([^<]*)', html)
    assert [(v, n) for v, n in tiles if n != "of video"] == [
        ("3", "videos"),
        ("7", "sentences"),
        ("4", "objects"),
        ("4", "motions followed"),
        ("6", "samples in shards"),
    ]
    assert (
        "6 samples · 3.2 s" in text
        and "counted one by one the samples of objects are 9.6 s" in text
    )
    assert "1 sentence has no masks (split valid)" in text
    assert "1 sentence; " not in text and "no-mask" in text
    row = re.search(r'<tr class="us"><td>this data set</td>(.*?)</tr>', html)[1]
    assert re.findall(r">([^<]+)<", row)[0] == "4" and ">7<" in row
    links = {a["href"] for tag, a in page.tags if tag == "a"}
    assert {link[1:] for link in links} <= headings(page)


def test_a_mixed_workspace_shows_both(factory):
    factory.fill(2)
    add_objects(factory)
    page, html = page_of(factory, shards=shards_of(factory))
    text = plain(page)
    assert {"objects", "captions", "motion", "clips", "generated"} <= headings(page)
    assert "this data set, people" in text and "this data set, objects" in text
    assert "Sentences about objects" in text and "With a person" in text
    assert re.search(r"With tracks 2 clips · 5.0 s", text), text[:1500]
    assert "Objects followed 6 sentences · 3.2 s" in text
    assert len(re.findall('class="card number"', html)) == 9


def test_sentences_without_masks_need_no_pictures(factory):
    add_objects(factory, masked=False)
    page, _ = page_of(factory)
    text = plain(page)
    assert "No object was followed yet." in text and "7 sentences have no masks" in text


def test_hostile_sentences_stay_text_and_the_bytes_are_the_same(factory):
    add_objects(factory, says=f" {HOSTILE}")
    page, html = page_of(factory)
    assert len(page.scripts) == 2 and "onerror" not in str([a for _, a in page.tags if "src" in a])
    assert "hacked" in page.text
    assert page_of(factory)[1] == html


@pytest.mark.parametrize("harm", ["missing", "cut"])
def test_damaged_shards_have_no_time(factory, harm):
    add_objects(factory)
    shards = shards_of(factory)
    whole = shard_time(shards)
    assert (whole.persons_s, whole.objects_s) == (0.0, pytest.approx(3.2))
    assert whole.counted_s == pytest.approx(9.6)
    file = next((shards / "data").glob("*.parquet"))
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:100])
    assert shard_time(shards) is None and shard_time(None) is None
    page, _ = page_of(factory, shards=shards)
    assert "6 samples" in plain(page) and "6 samples ·" not in plain(page)
