from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from motionkit.report.build import build_report, embedded_json
from motionkit.shards.build import build_shards
from motionkit.workspace import Workspace

HOSTILE = (
    "</script><script>window.hacked = 1</script> <img src=x onerror=hacked()> "
    "\" ' & {{ 7 * 7 }} \u2028 end"
)


class Page(HTMLParser):
    """What a browser would take as markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data


def full_report(factory, **changes):
    caption = changes.pop("caption", "")
    factory.fill(caption=caption)
    shards = build_shards(factory.workspace, factory.path / "shards").path
    options = {
        "shards": shards,
        "train_logs": [factory.train_log()],
        "generated": [factory.motion(changes.pop("text", "a person walks"))],
        "recipe": {"clips": {"fps": 30}},
        **changes,
    }
    out = build_report(factory.workspace, factory.path / "out" / "report.html", **options)
    return out, out.read_text("utf-8")


def test_a_full_report_shows_what_the_workspace_holds(factory):
    out, html = full_report(factory)
    page = Page(html)
    assert out.stat().st_size < 2_000_000
    for text in ("3 videos", "camera-moves", "0.06", "corrupt", "left ankle", "walks to the left"):
        assert text in page.text
    pictures = [a for tag, a in page.tags if tag == "img"]
    sheets = [a for a in pictures if "keypoints drawn on" in (a["alt"] or "")]
    assert len(sheets) >= 15
    assert all(a["src"].startswith("data:image/jpeg;base64,/9j/") and a["alt"] for a in pictures)
    assert sum(tag == "canvas" for tag, _ in page.tags) == 1
    assert "No training log yet" not in page.text and "There are no shards" not in page.text


def test_the_same_inputs_give_the_same_bytes(factory):
    first = full_report(factory)[1]
    again = build_report(
        factory.workspace,
        factory.path / "again.html",
        shards=factory.path / "shards",
        train_logs=[factory.path / "k2m/train_log.jsonl"],
        generated=sorted(factory.path.glob("*.npz")),
        recipe={"clips": {"fps": 30}},
    )
    assert again.read_text("utf-8") == first


def test_foreign_text_never_becomes_markup(factory):
    plain = Page(full_report(factory)[1])
    hostile = Workspace.create(factory.path / "again")
    other = type(factory)(factory.path / "again")
    other.workspace = hostile
    page = Page(full_report(other, caption=HOSTILE, text=HOSTILE, title=HOSTILE)[1])
    shape = [tag for tag, _ in page.tags if tag not in ("rect", "text", "title", "line")]
    expected = [tag for tag, _ in plain.tags if tag not in ("rect", "text", "title", "line")]
    assert sorted(set(shape)) == sorted(set(expected))
    assert shape.count("script") == expected.count("script") == 2
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "window.hacked = 1" in page.text  # shown as text
    assert "{{ 7 * 7 }}" in page.text


def test_json_cannot_end_its_script_element():
    text = str(embedded_json({"a": "</script><!-- & \u2028"}))
    assert not set("<>&\u2028") & set(text)


def test_the_policy_allows_our_script_alone_and_no_request(factory):
    _, html = full_report(factory)
    page = Page(html)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset", "action"):
            assert re.match(r"^(#|data:)", attrs.get(name) or "#")
    assert "url(" not in html and "@import" not in html


def test_an_empty_workspace_says_what_to_run(factory):
    out = build_report(factory.workspace, factory.path / "report.html")
    text = Page(out.read_text("utf-8")).text
    for command in (
        "motionkit ingest",
        "motionkit pose",
        "motionkit caption",
        "motionkit build-shards",
        "motionkit train k2m",
        "motionkit generate k2m",
    ):
        assert command in text


@pytest.mark.parametrize("present", [["videos"], ["videos", "scans", "detections", "verdicts"]])
def test_missing_stages_do_not_stop_the_report(factory, present):
    whole = type(factory)(factory.path)
    real_write = factory.write

    def write(table, command, rows):
        if table in present:
            real_write(table, command, rows)

    factory.write = write
    factory.fill()
    out = build_report(whole.workspace, factory.path / "report.html")
    text = Page(out.read_text("utf-8")).text
    assert "3 videos" in text and "No clip has keypoints yet" in text


def test_a_lost_video_is_told_on_its_sheet(factory):
    factory.fill()
    (factory.path / "film 1.mp4").unlink()
    out = build_report(factory.workspace, factory.path / "report.html")
    text = Page(out.read_text("utf-8")).text
    assert len(re.findall("cannot be (?:read|opened)", text)) == 1


def test_damaged_companions_are_told(factory):
    factory.fill()
    (factory.path / "shards").mkdir()
    (factory.path / "bad.npz").write_bytes(b"PK nothing")
    out = build_report(
        factory.workspace,
        factory.path / "report.html",
        shards=factory.path / "shards",
        train_logs=[factory.path / "none" / "train_log.jsonl"],
        generated=[factory.path / "bad.npz"],
    )
    text = Page(out.read_text("utf-8")).text
    assert "no manifest.json" in text
    assert "train_log.jsonl cannot be read" in text
    assert "bad cannot be shown" in text


def browse(page: Path, folder: Path, theme: str = "dark") -> str:
    """The page's markup after its script ran; fails on anything in the console."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on the path")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--enable-logging=stderr --v=0 --window-size=1366,768 --virtual-time-budget=1500 --dump-dom"
    )
    done = subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={folder}", f"{page.as_uri()}#{theme}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    return done.stdout


def test_no_console_errors_in_a_browser(factory, tmp_path):
    out, _ = full_report(factory, caption=HOSTILE, text=HOSTILE)
    dom = browse(out, tmp_path / "profile")
    assert 'data-theme="dark"' in dom
    assert re.search(r"<output>\d+\.\d / 2\.0 s</output>", dom)  # the script ran to its end


def test_charts_and_players_obey_the_keyboard(factory, tmp_path):
    _, html = full_report(factory)
    acts = """
      const key = (at, name) => at.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
      const chart = document.querySelector("[data-chart]");
      chart.dispatchEvent(new Event("focus"));
      for (let i = 0; i < 500; i++) key(chart, "ArrowLeft");
      const canvas = document.querySelector("canvas");
      const button = canvas.parentNode.querySelector("button");
      const pixels = () => canvas.toDataURL();
      button.textContent === "Pause" && button.click();
      const before = pixels();
      key(canvas, "ArrowLeft");
      document.body.dataset.turned = String(pixels() !== before);
      key(canvas, " ");
      document.body.dataset.playing = button.textContent;
      document.getElementById("theme").click();
      document.body.dataset.tip = document.getElementById("tip").textContent.replaceAll("\\n", "|");
    """
    html = re.sub(r"<meta http-equiv[^>]*>", "", html)  # the policy forbids a script of a test
    page = tmp_path / "acting.html"
    page.write_text(html.replace("</body>", f"<script>{acts}</script></body>"), "utf-8")
    dom = browse(page, tmp_path / "profile", "light")
    assert 'data-turned="true"' in dom and 'data-playing="Pause"' in dom
    assert re.search(r'data-tip="step 0\|train: 1\.\d+\|val: 1\.\d+"', dom)
    assert 'data-theme="dark"' in dom


def test_held_out_errors_stand_in_the_training_section(factory):
    good, bad = factory.path / "k2m" / "held_out.json", factory.path / "other" / "held_out.json"
    for path in (good, bad):
        path.parent.mkdir()
    ways = ("through_tokens_mm", "without_tokens_mm", "mean_pose_mm", "flat_mm")
    good.write_text(json.dumps({"clips": 3, "frames": 90, **dict.fromkeys(ways, 61.5)}))
    bad.write_text("{")
    out = build_report(factory.workspace, factory.path / "report.html", held_out=[good, bad])
    text = Page(out.read_text("utf-8")).text
    training = text[text.index("Training\n") : text.index("Generated motions")]
    assert "k2m: 3D error" in training and "61.5" in training
    assert "other/held_out.json is no JSON" in training
    assert "No training log yet" not in training


@pytest.mark.parametrize("way", [0.0, 6.0])
def test_the_whole_figure_stays_on_its_canvas(factory, tmp_path, way):
    # Arms spread from the first frame, then up as well: the widest and the highest.
    joints = np.load(factory.motion("still"))["joints"][:20].copy()
    joints[..., 2] += np.linspace(0, way, 20)[:, None] - joints[:, :1, 2]
    joints[10:, [20, 22], 1] += 0.7
    joints[10:, [21, 23], 0] -= 0.4
    made = tmp_path / "far.npz"
    np.savez(made, joints=joints, fps=30.0, text="arms")
    html = build_report(factory.workspace, tmp_path / "r.html", generated=[made]).read_text("utf-8")
    acts = """
      const canvas = document.querySelector("canvas"), slider = document.querySelector("input");
      const key = (name) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
      const style = getComputedStyle(document.documentElement);
      const colours = ["left", "right", "middle"].map((name) => {
        const hex = style.getPropertyValue(`--${name}`).trim();
        return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      });
      const drawn = (data, i) => colours.some((c) => c.every((v, k) => data[i + k] === v));
      const own = document.createElement("canvas");
      const copy = own.getContext("2d", { willReadFrequently: true });
      let cut = 0, least = 1, most = 0;
      for (const tilts of [["ArrowDown", 6], ["ArrowUp", 3], ["ArrowUp", 3], ["ArrowUp", 14]]) {
        for (let i = 0; i < tilts[1]; i++) key(tilts[0]);
        for (let turned = 0; turned < 7; turned++) {
          for (let i = 0; i < 6; i++) key("ArrowLeft");
          for (const frame of [0, 9, 10, 19]) {
            slider.value = frame;
            slider.dispatchEvent(new Event("input"));
            const [w, h] = [canvas.width, canvas.height];
            [copy.canvas.width, copy.canvas.height] = [w, h];
            copy.drawImage(canvas, 0, 0);
            const data = copy.getImageData(0, 0, w, h).data;
            let [x0, y0, x1, y1] = [w, h, -1, -1];
            for (let y = 0, i = 0; y < h; y++) {
              for (let x = 0; x < w; x++, i += 4) {
                if (!drawn(data, i)) continue;
                x0 = Math.min(x0, x); x1 = Math.max(x1, x);
                y0 = Math.min(y0, y); y1 = Math.max(y1, y);
              }
            }
            const margin = Math.min(x0 / w, y0 / h, (w - 1 - x1) / w, (h - 1 - y1) / h);
            if (!(margin > 0.02)) cut++;
            least = Math.min(least, margin);
            most = Math.max(most, (y1 - y0) / h);
          }
        }
      }
      document.body.dataset.cut = String(cut);
      document.body.dataset.least = least.toFixed(3);
      document.body.dataset.most = most.toFixed(3);
    """
    html = re.sub(r"<meta http-equiv[^>]*>", "", html)
    page = tmp_path / "acting.html"
    page.write_text(html.replace("</body>", f"<script>{acts}</script></body>"), "utf-8")
    dom = browse(page, tmp_path / "profile")
    found = dict(re.findall(r'data-(cut|least|most)="([^"]+)"', dom))
    assert found["cut"] == "0", found
    assert float(found["most"]) > 0.6  # and it is not small


def test_the_report_imports_no_heavy_packages():
    code = (
        "import sys, motionkit.report.build\n"
        "sys.exit(str({'torch', 'mediapipe', 'transformers'} & set(sys.modules)) "
        "if {'torch', 'mediapipe', 'transformers'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
