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


def many(dtype: "torch.dtype") -> "torch.Tensor":
    """Axis-angle vectors of every kind: zero, tiny, any, nearly half and half turns."""
    generator = torch.Generator().manual_seed(1)
    axes = torch.randn(400, 3, generator=generator, dtype=dtype)
    axes[:60] = torch.eye(3, dtype=dtype).repeat(20, 1)  # along the coordinate axes
    axes = axes / axes.norm(dim=-1, keepdim=True)
    angles = torch.cat([
        torch.zeros(20), torch.logspace(-9, -1, 80), torch.linspace(0.1, 3.1, 200),
        np.pi - torch.logspace(-6, -1, 80), torch.full((20,), np.pi),
    ]).to(dtype)  # fmt: skip
    return axes * angles[torch.randperm(400, generator=generator)][:, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exponential_and_logarithm_agree_everywhere(dtype: "torch.dtype") -> None:
    v = many(dtype)
    m = rt.axis_angle_to_matrix(v)
    eye = torch.eye(3, dtype=dtype)
    assert torch.allclose(m @ m.transpose(-1, -2), eye.expand_as(m), atol=2e-6)
    back = rt.matrix_to_axis_angle(m)
    assert back.norm(dim=-1).max() <= np.pi + 1e-5
    # of a half turn both axes are right: the rotations are what must agree
    assert torch.allclose(rt.axis_angle_to_matrix(back), m, atol=1e-5)
    whole = v.norm(dim=-1) < np.pi - 1e-2
    assert torch.allclose(back[whole], v[whole], atol=1e-5)
    assert torch.allclose(rt.six_d_to_matrix(rt.matrix_to_six_d(m)), m, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_everywhere(dtype: "torch.dtype") -> None:
    v = many(dtype).requires_grad_()
    m = rt.axis_angle_to_matrix(v)
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).to(dtype)
    (m * weights).sum().backward()
    assert v.grad is not None and torch.isfinite(v.grad).all() and v.grad.abs().max() < 20
    m = m.detach().requires_grad_()
    rt.matrix_to_axis_angle(m).sum().backward()
    assert m.grad is not None and torch.isfinite(m.grad).all() and m.grad.abs().max() < 100
    six_d = rt.matrix_to_six_d(m.detach()).requires_grad_()
    (rt.six_d_to_matrix(six_d) * weights).sum().backward()
    assert six_d.grad is not None and torch.isfinite(six_d.grad).all()


def test_gradients_are_right_down_to_zero() -> None:
    for angle in (0.0, 1e-7, 1e-3, 9.9e-4, 1.1e-3, 1.0, 3.1):
        v = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64) * angle
        assert torch.autograd.gradcheck(rt.axis_angle_to_matrix, (v.requires_grad_(),))
    for start in ([0.3, -0.2, 0.9], [2.0, 1.0, -1.5], [0.0, 1e-3, 0.0]):
        v = torch.tensor([start], dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x: rt.matrix_to_axis_angle(rt.axis_angle_to_matrix(x)), (v,)
        )


def test_quaternions_in_numpy_round_trip() -> None:
    v = many(torch.float64).numpy()
    q = rotations.to_quaternion(v)
    assert np.allclose(np.linalg.norm(q, axis=-1), 1, atol=1e-12)
    back = rotations.from_quaternion(-3 * q)  # neither length nor sign matters
    assert np.allclose(
        rotations.from_axis_angle(back), rotations.from_axis_angle(v), atol=1e-8
    )  # fmt: skip
    with pytest.raises(ValueError, match="length zero"):
        rotations.from_quaternion(np.zeros((2, 4)))
