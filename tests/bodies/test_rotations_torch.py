import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.bodies import rotations  # noqa: E402
from motionkit.bodies import rotations_torch as rt  # noqa: E402


def vectors() -> "torch.Tensor":
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(64, 3, generator=generator, dtype=torch.float64)
    v = v / v.norm(dim=-1, keepdim=True) * torch.linspace(0, np.pi - 1e-3, 64)[:, None].double()
    return v


def test_axis_angle_matches_numpy() -> None:
    v = vectors()
    got = rt.axis_angle_to_matrix(v).numpy()
    assert np.allclose(got, rotations.from_axis_angle(v.numpy()), atol=1e-9)


def test_matrix_to_axis_angle_inverts() -> None:
    v = vectors()
    assert torch.allclose(rt.matrix_to_axis_angle(rt.axis_angle_to_matrix(v)), v, atol=1e-6)


def test_six_d_round_trip() -> None:
    m = rt.axis_angle_to_matrix(vectors())
    assert torch.allclose(rt.six_d_to_matrix(rt.matrix_to_six_d(m)), m, atol=1e-9)


@pytest.mark.parametrize(
    "six_d",
    [[0.0] * 6, [1.0, 0, 0, 2.0, 0, 0], [0, 0, 0, 1.0, 0, 0], [1e-9, 0, 0, 0, 1e-9, 0], [1e4] * 6],
)
def test_six_d_is_a_rotation_with_finite_gradients_everywhere(six_d: list[float]) -> None:
    v = torch.tensor(six_d, requires_grad=True)
    m = rt.six_d_to_matrix(v)
    (m * torch.arange(9.0).reshape(3, 3)).sum().backward()
    assert torch.allclose(m @ m.T, torch.eye(3), atol=1e-5)
    assert torch.linalg.det(m).item() == pytest.approx(1, abs=1e-5)
    assert v.grad is not None and torch.isfinite(v.grad).all()


@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-3, 3.0, np.pi])
def test_axis_angle_gradients_are_finite(angle: float) -> None:
    v = torch.tensor([0.0, angle, 0.0], dtype=torch.float64, requires_grad=True)
    out = rt.matrix_to_axis_angle(rt.axis_angle_to_matrix(v))
    out.sum().backward()
    assert v.grad is not None and torch.isfinite(v.grad).all()
    assert out.detach().norm().item() == pytest.approx(angle, abs=1e-6)


def test_yaw_and_pitch_match_numpy() -> None:
    a = torch.tensor(0.7)
    yaw = rt.yaw_matrix(torch.sin(a), torch.cos(a)).numpy()
    assert np.allclose(yaw, rotations.about("y", 0.7), atol=1e-6)
    assert np.allclose(rt.pitch_matrix(a).numpy(), rotations.about("x", 0.7), atol=1e-6)
