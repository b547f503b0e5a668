import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more

from motionkit.bodies import rotations, skeleton  # noqa: E402
from motionkit.bodies.body_torch import FOCAL_PX, TorchBody, project  # noqa: E402
from motionkit.bodies.rotations_torch import axis_angle_to_matrix  # noqa: E402


def test_forward_kinematics_matches_numpy() -> None:
    rng = np.random.default_rng(0)
    turns = rotations.from_axis_angle(rng.normal(0, 0.6, (5, 24, 3)))
    trans, betas = rng.normal(0, 1, (5, 3)), rng.normal(0, 2, 10)
    joints, world = skeleton.forward_kinematics(turns, trans, betas)
    points = skeleton.coco_points(joints, world, betas)
    body = TorchBody()
    b = torch.tensor(betas, dtype=torch.float32).expand(5, 10)
    pelvis = torch.tensor(trans, dtype=torch.float32) + body.pelvis_rest(b)
    got_joints, got_points, got_world = body(torch.tensor(turns).float(), pelvis, b)
    assert np.allclose(got_joints.numpy(), joints, atol=1e-5)
    assert np.allclose(got_points.numpy(), points, atol=1e-5)
    assert np.allclose(got_world.numpy(), world, atol=1e-5)


def test_projection_is_the_specs() -> None:
    points = np.array([[[0.5, -0.3, 12.0], [0.0, 0.0, 8.0]]])
    uv, front = project(torch.tensor(points), torch.tensor([[640.0, 360.0]]))
    expected = FOCAL_PX * points[..., :2] / (points[..., 2:] + 1e-6) + np.array([320, 180])
    assert np.allclose(uv.numpy(), expected, atol=1e-6)
    assert front.all()


def test_points_behind_the_camera_are_left_out_without_gradient() -> None:
    points = torch.tensor(
        [[[1.0, 1.0, -2.0], [1.0, 1.0, 0.0], [1.0, 1.0, 5.0]]], requires_grad=True
    )
    uv, front = project(points, torch.tensor([[100.0, 100.0]]))
    uv.sum().backward()
    assert front.tolist() == [[False, False, True]]
    assert points.grad is not None
    assert (points.grad[0, :2] == 0).all() and points.grad[0, 2].abs().sum() > 0


def test_shape_values_change_bone_lengths() -> None:
    body = TorchBody()
    eye = torch.eye(3).expand(1, 24, 3, 3)
    betas = torch.zeros(1, 10)
    betas[0, 1] = 2  # legs
    long, _, _ = body(eye, torch.zeros(1, 3), betas)
    rest, _, _ = body(eye, torch.zeros(1, 3), torch.zeros(1, 10))
    ratio = (long[0, 7] - long[0, 4]).norm() / (rest[0, 7] - rest[0, 4]).norm()
    assert ratio.item() == pytest.approx(np.exp(0.1), abs=1e-4)


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    body = TorchBody().double()
    pose = torch.randn(2, 24, 3, generator=generator).double().requires_grad_()
    pelvis = torch.randn(2, 3, generator=generator).double().requires_grad_()
    betas = torch.randn(1, 10, generator=generator).double().requires_grad_()
    weights = torch.randn(2, 65, 3, generator=generator).double()

    def mixed(pose: "torch.Tensor", pelvis: "torch.Tensor", betas: "torch.Tensor") -> object:
        joints, points, world = body(axis_angle_to_matrix(pose), pelvis, betas)
        return (torch.cat([joints, points, world[..., 0]], -2) * weights).sum()

    assert torch.autograd.gradcheck(mixed, (pose, pelvis, betas))


def test_leading_axes_broadcast() -> None:
    generator = torch.Generator().manual_seed(0)
    body = TorchBody()
    turns = axis_angle_to_matrix(torch.randn(2, 5, 24, 3, generator=generator))
    pelvis = torch.randn(2, 5, 3, generator=generator)
    betas = torch.randn(2, 1, 10, generator=generator)
    one = body(turns, pelvis, betas)
    other = body(turns, pelvis, betas.expand(2, 5, 10))
    assert [tuple(v.shape) for v in one] == [(2, 5, 24, 3), (2, 5, 17, 3), (2, 5, 24, 3, 3)]
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_autocast_does_not_round_the_body() -> None:
    generator = torch.Generator().manual_seed(0)
    body = TorchBody()
    turns = axis_angle_to_matrix(torch.randn(4, 24, 3, generator=generator))
    args = (turns, torch.randn(4, 3, generator=generator), torch.randn(4, 10, generator=generator))
    plain = body(*args)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = body(*args)
    assert all(torch.equal(a, b) for a, b in zip(plain, under, strict=True))


def test_mesh_follows_the_bones() -> None:
    body = TorchBody()
    turns = axis_angle_to_matrix(
        torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(0)) * 0.7
    )
    pelvis, betas = torch.zeros(3, 3), torch.zeros(3, 10)
    betas[:, 0] = 2.0
    joints, _, _ = body(turns, pelvis, betas)
    vertices = body.vertices(turns, pelvis, betas)
    assert vertices.shape[-1] == 3 and body.faces.max() == vertices.shape[-2] - 1
    # every joint is a corner of some octahedron, whatever the pose and the size
    nearest = (joints[:, :, None] - vertices[:, None]).norm(dim=-1).amin(-1)
    assert nearest.max() < 1e-4
