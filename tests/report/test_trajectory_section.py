"""The section on the page: words, pictures, hostile text, and the script that moves the points."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.report.build import build_report  # noqa: E402
from motionkit.report.trajectory_section import _verdict, trajectory_section  # noqa: E402
from tests.report.lines_world import train, world  # noqa: E402
from tests.report.test_build import HOSTILE, Page, browse  # noqa: E402
from tests.report.test_trajectory_scores import GOOD  # noqa: E402


def page(factory, shards: Path, model: Path | None, name: str = "r.html") -> str:
    path = factory.path / name
    out = build_report(factory.workspace, path, shards=shards, lang2motion=model)
    return out.read_text("utf-8")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return world(tmp_path / "shards")


@pytest.fixture
def model(tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return train(shards, tmp_path / "lang2motion", monkeypatch)


def section_of(html: str) -> str:
    return html[html.index('<section id="trajectories">') : html.index('<section id="shards">')]


def test_pairs_errors_and_searches_stand_on_the_page(factory, shards, model):
    html = page(factory, shards, model)
    section = section_of(html)
    cards = section.count("data-trails=")
    assert 8 <= cards <= 12
    assert section.count('class="way"') == 2 * cards
    assert section.count('class="net ghost"') == cards
    text = Page(section).text
    for words in ("true", "generated", "standing still", "px off", "the right one", "✓ right",
                  "all 10 trajectories of the test split", "is the ADE", "640×360"):  # fmt: skip
        assert words in text, words
    assert "The whole split was not measured yet" in text
    assert "What the numbers mean" in text and "average displacement error" in text
    assert len(section) < 200_000
    assert page(factory, shards, model, "again.html") == html


def test_the_evaluation_stands_beside_its_baselines(factory, shards, model):
    (model / "evaluation-test.json").write_text(json.dumps({**GOOD, "frame_size": [320, 180]}))
    text = Page(section_of(page(factory, shards, model))).text
    assert "63 trajectories, 1,334 sentences" in text
    assert "60 % less than standing still" in text and "87.5 %" in text and "told the truth" in text
    assert "measured on another shard set" in text
    assert "pixels of a 320×180 picture" in text  # the drawn ones are stated for the same frame
    (model / "evaluation-test.json").write_text("{")
    text = Page(section_of(page(factory, shards, model))).text
    assert "evaluation-test.json is no JSON" in text and "640×360" in text


def test_without_a_model_the_section_says_what_to_run_where_it_concerns_anybody(factory, tmp_path):
    out = build_report(factory.workspace, tmp_path / "r.html", lang2motion=tmp_path / "nowhere")
    assert 'id="trajectories"' not in out.read_text("utf-8")  # people, and no model of points
    (tmp_path / "begun").mkdir()
    out = build_report(factory.workspace, tmp_path / "r.html", lang2motion=tmp_path / "begun")
    section = Page(section_of(out.read_text("utf-8"))).text
    assert "motionkit train lang2motion" in section and "ADE" not in section
    found = trajectory_section(None, None)
    assert found["problem"] == "No Lang2Motion model was trained yet."


def test_hostile_sentences_never_become_markup(factory, tmp_path, monkeypatch):
    plain_shards = world(tmp_path / "plain")
    plain = Page(page(factory, plain_shards, train(plain_shards, tmp_path / "m", monkeypatch)))
    shards = world(tmp_path / "shards", says=HOSTILE)
    model = train(shards, tmp_path / "lang2motion", monkeypatch)
    bad = {**GOOD, "split": HOSTILE}
    (model / "evaluation-test.json").write_text(json.dumps(bad))
    hostile = page(factory, shards, model)
    found = Page(hostile)
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags} | {
        "rect", "text", "b", "br", "table", "thead", "tbody", "tr", "th", "td", "line",
    }  # fmt: skip
    assert sum(tag == "script" for tag, _ in found.tags) == 2
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    assert "window.hacked = 1" in found.text and "{{ 7 * 7 }}" in found.text


def test_a_long_sentence_is_cut(factory, tmp_path, monkeypatch):
    shards = world(tmp_path / "shards", says=" and on" * 5000)
    html = page(factory, shards, train(shards, tmp_path / "m", monkeypatch))
    assert "…" in Page(section_of(html)).text and len(html) < 300_000


def test_a_problem_is_told_with_its_evaluation(tmp_path, shards, model, monkeypatch):
    (model / "evaluation-val.json").write_text(json.dumps(GOOD))
    (model / "lang2motion.safetensors").unlink()
    found = trajectory_section(model, shards)
    assert "has not ended" in found["problem"] and found["scores"]["trajectories"] == "63"


@pytest.mark.parametrize(
    ("own", "words", "style"),
    [
        (20.0, "80 % less", "good"),
        (95.0, "about as far off", "soft"),
        (105.0, "about as far off", "soft"),
        (150.0, "50 % more: standing still is better", "bad"),
    ],
)
def test_a_verdict_is_only_good_where_it_is(own, words, style):
    found = _verdict(own, 100.0)
    assert found is not None and words in found["text"] and found["style"] == style
    assert _verdict(math.nan, 100.0) is None and _verdict(own, 0.0) is None


ACTS = """
  const box = document.querySelector("[data-trails]");
  const [button, slider] = [box.querySelector("button"), box.querySelector("input")];
  const [truth, made] = box.querySelectorAll("svg.way");
  const to = (frame) => { slider.value = frame; slider.dispatchEvent(new Event("input")); };
  const places = (svg) => [...svg.querySelectorAll("circle")].map(
    (dot) => [dot.getAttribute("cx"), dot.getAttribute("cy")].join()).join(" ");
  const net = (svg, name) => svg.querySelector(name).getAttribute("d");
  to(0);
  const seen = document.body.dataset;
  seen.together = String(places(truth) === places(made));
  seen.first = String(net(truth, ".now") === net(truth, ".first"));
  seen.said = box.querySelector("output").textContent;
  to(7);
  seen.apart = String(places(truth) !== places(made));
  seen.ghost = String(net(made, ".ghost") === net(truth, ".now"));
  seen.tails = truth.querySelectorAll(".tail").length;
  seen.button = button.textContent;
  button.click();
  seen.after = button.textContent;
"""


def test_the_points_move_and_start_together(factory, tmp_path, shards, model):
    html = page(factory, shards, model)
    still = section_of(html)
    html = re.sub(r"<meta http-equiv[^>]*>", "", html)  # the policy forbids a script of a test
    acting = tmp_path / "acting.html"
    acting.write_text(html.replace("</body>", f"<script>{ACTS}</script></body>"), "utf-8")
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', browse(acting, tmp_path / "profile")))
    expected = {"together": "true", "first": "true", "said": "frame 1 / 8", "apart": "true",
                "ghost": "true", "tails": "3", "button": "Play", "after": "Pause"}  # fmt: skip
    assert {key: found.get(key) for key in expected} == expected
    assert "tail" not in re.sub("trail", "", still).replace("details", "")


def test_torch_is_loaded_only_for_a_model(factory, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from motionkit.report.trajectory_section import _verdict, trajectory_section\n"
        f"trajectory_section(Path({str(tmp_path / 'none')!r}), None)\n"
        "sys.exit(str({'torch', 'transformers'} & set(sys.modules)) "
        "if {'torch', 'transformers'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
