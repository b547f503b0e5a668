import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from motionkit.bodies.body import make_body  # noqa: E402
from motionkit.bodies.body_torch import TorchBody  # noqa: E402
from motionkit.bodies.rotations_torch import axis_angle_to_matrix  # noqa: E402
from motionkit.bodies.skeleton import REST_OFFSETS, forward_kinematics  # noqa: E402
from motionkit.bodies.smpl import FACE_VERTICES, SmplBody  # noqa: E402
from motionkit.errors import UsageError  # noqa: E402

from .smpl_model import smpl_arrays, write_npz  # noqa: E402


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> SmplBody:
    path = write_npz(tmp_path_factory.mktemp("smpl") / "model.npz")
    found = make_body(f"smpl:{path}")
    assert isinstance(found, SmplBody)
    return found


def poses(*lead: int) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    generator = torch.Generator().manual_seed(0)
    turns = axis_angle_to_matrix(torch.randn(*lead, 24, 3, generator=generator) * 0.6)
    return (
        turns,
        torch.randn(*lead, 3, generator=generator),
        torch.randn(*lead, 10, generator=generator),
    )


def test_make_body_knows_both_and_no_other(body: SmplBody) -> None:
    assert isinstance(make_body(), TorchBody) and make_body("motionkit-24").name == "motionkit-24"
    assert body.name == "smpl"
    for spec in ("smplx:/a", "smpl:", "smpl", "other"):
        with pytest.raises(UsageError, match="unknown body"):
            make_body(spec)


def test_joints_equal_our_own_kinematics_on_the_same_offsets(body: SmplBody) -> None:
    turns, pelvis, _ = poses(6)
    zero = torch.zeros(6, 10)
    assert np.allclose(body.rest_offsets(zero)[0].numpy(), REST_OFFSETS, atol=1e-5)
    joints, points, world = body(turns, pelvis, zero)
    place = pelvis.numpy() - REST_OFFSETS[0]
    want, want_world = forward_kinematics(turns.double().numpy(), place)
    assert np.allclose(joints.numpy(), want, atol=2e-5)
    assert np.allclose(world.numpy(), want_world, atol=1e-5)
    ours, our_points, _ = TorchBody()(turns, pelvis, zero)
    assert torch.allclose(joints, ours, atol=2e-5)
    assert torch.allclose(points[:, 5:], our_points[:, 5:], atol=2e-5)


def test_everything_equals_smplx(body: SmplBody) -> None:
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    arrays = smpl_arrays()
    model = smplx.SMPL(
        "", data_struct=Struct(**arrays), create_betas=False, create_global_orient=False,
        create_body_pose=False, create_transl=False,
    )  # fmt: skip
    turns, pelvis, betas = poses(4)
    out = model(
        betas=betas, global_orient=turns[:, :1], body_pose=turns[:, 1:], pose2rot=False,
        transl=pelvis - body.pelvis_rest(betas),
    )  # fmt: skip
    joints, points, _ = body(turns, pelvis, betas)
    assert torch.allclose(joints, out.joints[:, :24], atol=2e-5)
    assert torch.allclose(points[:, :5], out.vertices[:, list(FACE_VERTICES)], atol=2e-5)
    assert torch.allclose(body.vertices(turns, pelvis, betas), out.vertices, atol=2e-5)


def test_face_vertices_are_the_published_ones() -> None:
    pytest.importorskip("smplx")
    from smplx.vertex_ids import vertex_ids

    names = ("nose", "leye", "reye", "lear", "rear")
    assert tuple(vertex_ids["smplh"][name] for name in names) == FACE_VERTICES


def test_shapes_and_leading_axes(body: SmplBody) -> None:
    pytest.importorskip("smplx")
    turns, pelvis, betas = poses(2, 3)
    joints, points, world = body(turns, pelvis, betas)
    assert joints.shape == (2, 3, 24, 3) and points.shape == (2, 3, 17, 3)
    assert world.shape == (2, 3, 24, 3, 3)
    assert body.vertices(turns, pelvis, betas).shape == (2, 3, 6890, 3)
    assert body.faces.shape == (200, 3)
    one = body(turns, pelvis, betas[:, :1])
    many = body(turns, pelvis, betas[:, :1].expand(2, 3, 10))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one, many, strict=True))


def test_betas_change_the_body_and_gradients_flow(body: SmplBody) -> None:
    turns, pelvis, _ = poses(2)
    turns, pelvis = turns.requires_grad_(), pelvis.requires_grad_()
    betas = torch.zeros(2, 10, requires_grad=True)
    joints, points, _ = body(turns, pelvis, betas)
    larger, _, _ = body(turns, pelvis, betas + 2)
    assert (larger - joints).abs().max() > 1e-3
    points[:, 0].square().sum().backward()  # the nose: a vertex
    for leaf in (turns, pelvis, betas):
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all() and leaf.grad.any()


def test_no_part_of_the_model_gets_into_a_checkpoint(body: SmplBody) -> None:
    assert body.state_dict() == {}
