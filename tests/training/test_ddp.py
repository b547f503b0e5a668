"""Two processes on the CPU that train together (gloo)."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("lightning_fabric")

from torch.multiprocessing.spawn import ProcessRaisedException  # noqa: E402

from motionkit.errors import TrainingError  # noqa: E402
from motionkit.training.checkpoint import load_facts  # noqa: E402
from motionkit.training.ranks import Ranks, together  # noqa: E402
from tests.training.toy import run_options, train_in_ranks  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
        reason="torch has no gloo",
    ),
    # Lightning's launcher and torch's own spawn, not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_two_processes_draw_their_own_share_keep_equal_weights_and_go_on(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    found = together(run_options(devices=2), train_in_ranks, tmp_path, log=heard.append)
    whole, again = found["whole"], found["again"]
    first, second = whole["weights"]
    assert first == second
    mine, theirs = whole["drawn"]
    assert len(mine) == len(theirs) == 12 and not set(mine) & set(theirs)
    assert [row["step"] for row in heard if "loss" in row][:6] == [1, 2, 3, 4, 5, 6]
    # a loss that is not finite in any process stops all, with the samples of all
    assert "loss became nan at step 4" in found["poisoned"]
    assert all(n in found["poisoned"] for ids in mine[8:10] + theirs[8:10] for n in ids)
    # gone on with from step 3, it ends the same: the random states of both were kept
    assert again["drawn"] == [mine[6:], theirs[6:]]
    assert again["weights"] == whole["weights"]
    assert again["curve"] and all(whole["curve"][k] == v for k, v in again["curve"].items())
    assert load_facts(tmp_path / "b" / "resume_line.safetensors")["ranks"] == 2


def test_what_one_process_raises_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other processes are ended by torch's launcher; this is how the error comes over."""

    class Launcher:
        global_rank, world_size, device = 1, 2, torch.device("cpu")

        def launch(self, one_rank: Any, *args: Any) -> Any:
            try:
                return one_rank(self, *args)
            except TrainingError as error:
                raise ProcessRaisedException(f"Traceback\n{error!r}", 1, 99) from error

    def fail(ranks: Ranks, log: Any, what: str) -> None:
        assert (ranks.rank, ranks.world, log) == (1, 2, None)
        raise TrainingError(f"{what} is damaged.", hint="copy it again")

    monkeypatch.setattr("motionkit.training.ranks._fabric", lambda run: (Launcher(), "fp32"))
    with pytest.raises(TrainingError, match="a shard is damaged") as caught:
        together(run_options(devices=2), fail, "a shard")
    assert caught.value.hint == "copy it again"
