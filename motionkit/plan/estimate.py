"""From the sample to the whole: ratios to the seconds of video, and how far they may be off."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.forecast import Range
from motionkit.plan.population import Population
from motionkit.plan.trial import StepTrial, Tried, VideoCost

FloatArray = NDArray[np.float64]

_REPLICATES: Final = 1000
_TAILS: Final = (0.05, 0.95)
#: Steps that read every video to its end, whatever stretches of it are wanted.
WHOLE_VIDEOS: Final = ("ingest", "scan", "expressions")
QUANTITIES: Final = tuple(field.name for field in dataclasses.fields(VideoCost))


@dataclasses.dataclass(frozen=True)
class Totals:
    """A step's costs over the whole set: by name, the estimate first and then one value for each
    bootstrap replicate, [1 + R]. ``scale`` [1 + R] is the whole's items over the sample's."""

    of: dict[str, FloatArray]
    scale: FloatArray
    known: bool

    def range(self, values: FloatArray | str, slack: float = 0.0) -> Range:
        """The estimate with its range, which is at least ``slack`` (a share) to both sides."""
        return range_of(self.of[values] if isinstance(values, str) else values, self.known, slack)


def range_of(values: FloatArray, known: bool, slack: float = 0.0) -> Range:
    """The range of [estimate, replicates …]."""
    value = float(values[0])
    if not known:
        return Range(value)
    low, high = np.quantile(values[1:], _TAILS) if len(values) > 1 else (value, value)
    return Range(value, float(min(low, value * (1 - slack))), float(max(high, value * (1 + slack))))


class Estimator:
    """Turns what a sample took into what the whole will take.

    Every quantity is estimated as (weighted sum over the sample) / (weighted seconds of video of
    the sample) × (seconds of video of the whole). The range is a bootstrap over videos, seeded;
    videos that are in every sample do not vary, and the more of the whole was tried the narrower
    it is. With few videos it is widened as Student's distribution is.
    """

    def __init__(self, population: Population, tried: Sequence[Tried], seed: int) -> None:
        self.population, self.tried = population, tried
        self.weights = np.array([one.drawn.weight for one in tried])
        # A stretch stands for a video that may be different elsewhere: it varies, too.
        varies = np.array([not one.drawn.certain or one.share < 1 for one in tried], bool)
        count = int(varies.sum())
        self.times = np.ones((1 + _REPLICATES, len(tried)))
        if count:
            draws = np.random.default_rng(seed).multinomial(count, np.ones(count) / count,
                                                            _REPLICATES)  # fmt: skip
            self.times[1:, varies] = draws
        used = np.array([one.drawn.video.used_s for one in tried])
        shares = np.array([one.used_share for one in tried])
        open_s = population.used_s - float(used[~varies].sum())
        seen = float((used * shares)[varies].sum()) / open_s if count and open_s > 0 else 1.0
        self.known = count != 1
        self.spread = _student(count) * float(np.sqrt(max(0.0, 1.0 - min(1.0, seen))))

    def totals(self, trial: StepTrial) -> Totals:
        """The costs of a stage over the whole set."""
        whole = trial.step in WHOLE_VIDEOS
        x = np.array([v.drawn.video.seconds if whole else v.drawn.video.used_s for v in self.tried])
        shares = np.array([v.share if whole else v.used_share for v in self.tried])
        size = self.population.seconds if whole else self.population.used_s
        per_video = self.times @ (self.weights * x)
        found: dict[str, FloatArray] = {}
        for name in QUANTITIES:
            costs = np.array([float(getattr(cost, name)) for cost in trial.costs])
            if trial.step == "ingest" and name in ("items", "kept"):
                shares_ = np.ones_like(shares)  # a video is one, however much of it was tried
            elif trial.step == "scan" and name in ("items", "kept"):
                shares_ = np.ones_like(shares)
            else:
                shares_ = shares
            rates = self.times @ (self.weights * costs / shares_) / per_video
            found[name] = self._spread(size * rates)
        if trial.step in ("ingest", "scan"):  # their number is known
            found["items"] = np.full(1 + _REPLICATES, float(len(self.population.videos)))
        scale = found["items"] / max(1, trial.items)
        return Totals(found, scale, self.known and trial.items > 0)

    def scaled(self, trial: StepTrial, by: Totals | None) -> Totals:
        """The costs of a step that grows with another one's items."""
        scale = np.ones(1 + _REPLICATES) if by is None else by.scale
        cost = trial.costs[0] if trial.costs else VideoCost()
        if trial.at_most:
            scale = np.minimum(scale * cost.items, trial.at_most)
            scale = np.maximum(1.0, scale / max(1, min(cost.items, trial.at_most)))
        found = {name: float(getattr(cost, name)) * scale for name in QUANTITIES}
        return Totals(found, scale, by is not None and by.known and bool(trial.costs))

    def _spread(self, values: FloatArray) -> FloatArray:
        return np.maximum(0.0, values[0] + self.spread * (values - values[0]))


def _student(count: int) -> float:
    """How much wider the range of a mean of so few is than the bootstrap's."""
    if count < 2:
        return 0.0
    from scipy.special import stdtrit

    small = float(stdtrit(count - 1, _TAILS[1])) / 1.6448536
    return small * float(np.sqrt(count / (count - 1)))
