from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.bodies import rotations  # noqa: E402
from motionkit.bodies.motion import BodyMotion  # noqa: E402
from motionkit.generation.world import _on_the_floor, to_world  # noqa: E402
from motionkit.models.k2m.config import PRESETS  # noqa: E402
from motionkit.models.k2m.tokenizer import Tokenizer  # noqa: E402


def test_a_floating_body_is_set_down_and_a_hop_stays_in_the_air() -> None:
    time = np.arange(120) / 30
    floating = 0.2 * np.clip(np.minimum(time - 0.5, 3.5 - time), 0, 0.5) / 0.5
    hop = 0.3 * np.clip(1 - ((time - 2) / 0.2) ** 2, 0, None)

    def feet_at_two_seconds(height: np.ndarray) -> float:
        trans = np.stack([0 * height, height, 0 * height], -1)
        still = BodyMotion(np.zeros((120, 24, 3)), trans, np.zeros(10), 30.0)
        feet = _on_the_floor(still).joints()[:, [7, 8, 10, 11], 1].min(1)
        return float(feet[60] - feet[0])

    assert abs(feet_at_two_seconds(floating)) < 0.01
    assert feet_at_two_seconds(hop) == pytest.approx(0.3, abs=0.02)


def test_a_turned_body_comes_out_facing_ahead() -> None:
    model = Tokenizer(PRESETS["small"]().tokenizer).eval()
    with torch.no_grad():
        lifted = model.decoder(torch.randn(1, 5, 64), torch.ones(1, 5, dtype=torch.bool))
    turned = replace(lifted, root=torch.diag(torch.tensor([-1.0, 1, -1])) @ lifted.root)
    a, b = to_world(lifted).joints(), to_world(turned).joints()
    assert np.allclose(a[0], b[0], atol=0.02)


def test_a_wobbling_facing_is_calmed_and_a_turn_stays() -> None:
    model = Tokenizer(PRESETS["small"]().tokenizer).eval()
    with torch.no_grad():
        lifted = model.decoder(torch.zeros(1, 30, 64), torch.ones(1, 30, dtype=torch.bool))
    time = np.arange(120) / 30
    bow = rotations.about("x", 1.2 * np.sin(np.pi * time / 4))

    def facing(angle: np.ndarray) -> np.ndarray:
        body = np.diag([1.0, -1.0, -1.0]) @ rotations.about("y", angle) @ bow
        motion = to_world(replace(lifted, root=torch.from_numpy(body)[None].float()))
        across = rotations.from_axis_angle(motion.poses[:, 0])[:, :, 0]
        return np.degrees(np.unwrap(np.arctan2(-across[:, 2], across[:, 0])))

    assert np.ptp(facing(0.3 * np.sin(2 * np.pi * 1.5 * time))[30:90]) < 10  # 34° before
    assert np.ptp(facing(np.pi * np.clip((time - 1) / 2, 0, 1))) > 170
