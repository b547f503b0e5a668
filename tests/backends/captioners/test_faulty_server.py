"""200 clips against a server that does everything wrong, through the engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from motionkit.catalogue import failures
from motionkit.engines.local import EngineOptions, run_stage
from motionkit.errors import InputError, MotionkitError
from motionkit.stage import Item, Kept, run_alone
from motionkit.stages.caption import Caption
from motionkit.workspace import Workspace
from tests.backends.captioners import faulty_server as faulty
from tests.backends.captioners.faulty_server import FaultyServer, number_said, serve
from tests.backends.captioners.numbered_clips import clip_name, make_workspace

#: Clips whose first request is never answered: each takes the whole time limit, which is long, so
#: that a busy machine does not make others late.
SILENT = (10, 25, 40)
#: Clips whose requests never succeed, and what their rows say.
HOPELESS = {
    23: ("400", "caption-refused"),
    57: ("500", "caption-server-error"),
    91: ("bad-json", "caption-malformed"),
    128: ("empty", "caption-empty"),
    160: ("429", "caption-rate-limited"),
    199: ("drop", "caption-network"),
}
UNSEEN = (7, 77)


def manners_of_200(number: int, before: int) -> str:
    """Six clips fail for ever; a third of the others are answered slowly, and two thirds only at
    the second or third try, after every sort of failure in turn."""
    if number in HOPELESS:
        return HOPELESS[number][0]
    failures = number % 3
    if before < failures:
        kinds = [kind for kind in faulty.PASSING if kind != "never"]
        if number in SILENT and before == 0:
            return "never"
        return kinds[(number // 3 + before * 5) % len(kinds)]
    return "slow" if number % 3 == 0 else "ok"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOTIONKIT_CAPTION_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MOTIONKIT_CAPTION_KEY", faulty.KEY)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    with serve(FaultyServer()) as made:
        monkeypatch.setenv("MOTIONKIT_CAPTION_URL", made.url)
        yield made


def stage_for(workspace: Workspace, **changes: Any) -> Caption:
    given: dict[str, Any] = {
        "source": "model",
        "captioner": f"openai:{faulty.MODEL}",
        "sampled_frames": 3,
        "request_timeout_s": 5.0,
        "backoff_s": 0.01,
        "retries": 3,
        "requests": 16,
        "workspace": str(workspace.path),
    }
    return Caption(**{**given, **changes})


def rows_of(workspace: Workspace) -> dict[str, dict[str, Any]]:
    columns = ["outcome", "reason", "clip_id", "captions", "attempt", "error_message"]
    return {row["item_id"]: row for row in workspace.rows("captions", columns, outcome=None)}


def one_by_one(stage: Caption, workspace: Workspace) -> list[Item]:
    stage.setup()
    return list(stage.items(workspace))


def captions_of(stage: Caption, item: Item) -> list[dict[str, str]]:
    outcome = run_alone(stage, item)
    assert isinstance(outcome, Kept)
    return outcome.row["captions"]


def everything_written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def test_200_clips_end_with_every_caption_on_its_clip(server: FaultyServer, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 200, UNSEEN)
    server.manner = manners_of_200
    summary = run_stage(workspace, stage_for(workspace), EngineOptions(workers=1))
    rows = rows_of(workspace)

    assert set(rows) == {clip_name(n) for n in range(200)}
    for number in range(200):
        row = rows[clip_name(number)]
        if number in HOPELESS:
            assert (row["outcome"], row["reason"]) == ("failed", HOPELESS[number][1])
            assert row["clip_id"] == clip_name(number)
        elif number in UNSEEN:
            assert (row["outcome"], row["reason"]) == ("dropped", "no-box")
        else:
            assert row["outcome"] == "kept", (number, row["reason"], row["error_message"])
            (caption,) = row["captions"]
            assert number_said(caption["text"]) == number
            assert caption["source"] == f"openai:{faulty.MODEL}"
    assert (summary.kept, summary.failed.total()) == (192, 6)
    listed = {row["item_id"]: row["code"] for row in failures(workspace, "caption")}
    assert listed == {clip_name(number): code for number, (_, code) in HOPELESS.items()}
    assert len(server.paid) == 192
    assert set(server.paid.values()) == {1}
    assert server.numbers[7] == server.numbers[77] == 0
    assert set(faulty.PASSING) <= set(server.did)  # all of it happened
    assert 1 < server.most_at_once <= 16
    for path, data in everything_written(tmp_path):
        assert faulty.KEY.encode() not in data, path


def test_a_run_that_was_killed_asks_for_nothing_it_had(
    server: FaultyServer, tmp_path: Path
) -> None:
    """The server answers 25 requests and then no more; the run is killed when all of those were
    kept, and goes on later. Nobody is answered twice."""
    workspace = make_workspace(tmp_path, 40)
    server.stop_after = 25
    script = (
        "from pathlib import Path\n"
        "from motionkit.engines.local import EngineOptions, run_stage\n"
        "from motionkit.workspace import Workspace\n"
        "from tests.backends.captioners.test_faulty_server import stage_for\n"
        "if __name__ == '__main__':\n"
        f"    workspace = Workspace(Path({str(workspace.path)!r}))\n"
        "    stage = stage_for(workspace, request_timeout_s=60.0)\n"
        "    run_stage(workspace, stage, EngineOptions(workers=1))\n"
    )
    program = tmp_path / "killed.py"
    program.write_text(script)
    root = Path(__file__).parents[3]
    run = subprocess.Popen(
        [sys.executable, str(program)],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
    )
    try:
        cache = workspace.path / "cache" / "captions"
        end = time.monotonic() + 60
        while len(list(cache.rglob("*.json"))) < 25:
            assert run.poll() is None and time.monotonic() < end
            time.sleep(0.02)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    assert server.paid.total() == 25
    server.stop_after = None
    server.release.set()  # the silent requests of the dead run end

    before = rows_of(workspace) if workspace.parts("captions") else {}
    assert len(before) < 40
    run_stage(workspace, stage_for(workspace), EngineOptions(workers=1))
    rows = rows_of(workspace)
    assert {name: number_said(row["captions"][0]["text"]) for name, row in rows.items()} == {
        clip_name(number): number for number in range(40)
    }
    assert len(server.paid) == 40
    assert set(server.paid.values()) == {1}


def test_what_can_never_work_stops_the_run_before_the_first_clip(
    server: FaultyServer, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path, 3)
    server.key = "another"
    with pytest.raises(MotionkitError, match="refuses the key") as caught:
        run_stage(workspace, stage_for(workspace), EngineOptions(workers=1))
    assert faulty.KEY not in f"{caught.value} {caught.value.hint}"
    assert not server.asked
    assert not workspace.parts("captions")


def test_a_second_caption_pays_for_itself_alone(server: FaultyServer, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 3)
    one, two = stage_for(workspace), stage_for(workspace, captions_each=2)
    first = [captions_of(one, item) for item in one_by_one(one, workspace)]
    assert server.paid.total() == 3
    again = [captions_of(two, item) for item in one_by_one(two, workspace)]
    assert server.paid.total() == 6
    assert set(server.paid.values()) == {1}
    for before, after in zip(first, again, strict=True):
        assert after[0] == before[0]
        details = [json.loads(caption["detail"]) for caption in after]
        assert [detail["temperature"] for detail in details] == [0.0, 0.7]


def test_a_clip_that_failed_half_way_pays_for_the_other_half_later(
    server: FaultyServer, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path, 1)
    stage = stage_for(workspace, captions_each=2)
    server.manner = lambda number, before: "400" if server.numbers[0] == 2 else "ok"
    (item,) = one_by_one(stage, workspace)
    with pytest.raises(InputError) as caught:
        captions_of(stage, item)
    assert caught.value.code == "caption-refused"
    assert len(captions_of(stage, item)) == 2
    assert list(server.paid.values()) == [1, 1]


def test_a_key_that_stops_being_taken_is_not_tried_for_every_clip(
    server: FaultyServer, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path, 5)
    server.manner = lambda number, before: "401"
    stage = stage_for(workspace)
    codes = []
    for item in one_by_one(stage, workspace):
        with pytest.raises(InputError) as caught:
            captions_of(stage, item)
        codes.append(caught.value.code)
        assert faulty.KEY not in "".join(traceback.format_exception(caught.value))
    assert codes == ["caption-unauthorised"] * 3 + ["caption-not-asked"] * 2
    assert server.asked.total() == 3


def test_the_same_pictures_twice_are_asked_for_once(server: FaultyServer, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 1)
    server.manner = lambda number, before: "slow"
    stage = stage_for(workspace)
    (item,) = one_by_one(stage, workspace)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: captions_of(stage, item), range(6)))
    assert all(captions == found[0] for captions in found)
    assert list(server.paid.values()) == [1]
