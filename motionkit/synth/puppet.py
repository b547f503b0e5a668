"""A body that is played by named curves, and turned into joint rotations.

A script sets curves in anatomical terms (raise the left arm by 90 degrees, put the right foot
there) and `Puppet.pose` makes rotations of them. Feet are solved by inverse kinematics:
what stands, stands still, and knees can only bend the way knees do.

Authoring space: metres of the neutral body, floor at y = 0, x to the person's left, the
person facing +z at yaw 0. Angles in degrees. Positive yaw turns to the person's left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies import rotations
from motionkit.bodies.skeleton import JOINT, forward_kinematics, shaped_offsets
from motionkit.synth import limbs
from motionkit.synth.curves import drift, smooth
from motionkit.synth.styles import Style

Float = NDArray[np.float64]

#: From the ball of the foot (SMPL's 'foot' joint) down to the floor, metres, neutral body.
SOLE_M = 0.028
#: Smallest knee bend: standing people do not lock their knees.
KNEE_MIN = np.radians(3.0)
KNEE_MAX = np.radians(150.0)
ELBOW_MIN = np.radians(4.0)
ELBOW_MAX = np.radians(148.0)
#: Distance between the ankles' midline and each ankle in quiet standing, metres.
STANCE_M = 0.10


class Side:
    """Curves of one arm and one leg, each [F]."""

    def __init__(self, frames: int) -> None:
        def zero() -> Float:
            return np.zeros(frames)

        self.flex, self.abduct = zero() + 4.0, zero() + 9.0
        """Upper arm, from hanging: forwards, then away from the body's side."""
        self.twist, self.elbow, self.wrist = zero(), zero() + 14.0, zero()
        """Outward turn of the upper arm; bend of the elbow; bend of the wrist."""
        self.shrug = zero()
        self.reach: Float = np.zeros((frames, 3))
        """Wrist target from the shoulder in the chest's frame (x outwards), in arm lengths."""
        self.reach_weight = zero()
        """0: the arm follows the angles above; 1: it follows ``reach``."""
        self.elbow_out = zero() + 20.0
        """For ``reach``: how far the elbow points outwards instead of down."""
        self.foot_x, self.foot_z, self.lift = zero(), zero(), zero()
        """The ankle's place in the world over the floor and the foot's height above it."""
        self.foot_yaw, self.foot_pitch = zero(), zero()
        """Where the toes point; heel up (+) round the ball, toes up (-) round the heel."""
        self.dangle, self.point = zero(), zero()
        """1: the foot hangs from the shin (and the leg need not reach); toes pointed (+)."""
        self.knee_out = zero()


class Puppet:
    """All curves of one clip. ``u`` [F] is script time: seconds times tempo."""

    def __init__(
        self,
        frames: int,
        fps: float,
        *,
        tempo: float,
        style: Style,
        rng: np.random.Generator,
        betas: Float | None,
    ) -> None:
        self.frames, self.fps, self.style, self.rng = frames, fps, style, rng
        self.u = np.arange(frames) / fps * tempo * style.tempo
        self.end = frames / fps * tempo * style.tempo
        self.amp = style.amplitude
        self.betas = betas

        def zero() -> Float:
            return np.zeros(frames)

        self.x, self.y, self.z = zero(), zero(), zero()
        """Shift of the pelvis from standing."""
        self.yaw, self.pitch, self.roll = zero(), zero(), zero()
        self.bend, self.lean, self.spine_twist = zero(), zero(), zero()
        """Spine: forwards, to the left, turned to the left."""
        self.nod, self.look, self.tilt = zero(), zero(), zero()
        """Head: down, turned to the left, tilted to the left."""
        self.left, self.right = Side(frames), Side(frames)
        self.airborne = zero()
        """1 where the body flies: the pelvis is then not lowered to what the legs reach."""
        self.seated = False
        """True where the script needs a seat under the person at their lowest."""
        self.settle = 1.5
        """Smoothing of the lowering of the pelvis, frames at 30 fps."""
        self.stand()

    @property
    def sides(self) -> tuple[tuple[Side, float], tuple[Side, float]]:
        """(left, +1) and (right, -1)."""
        return (self.left, 1.0), (self.right, -1.0)

    def side(self, name: str) -> tuple[Side, float]:
        """The side called 'left' or 'right', with its sign in x."""
        return (self.left, 1.0) if name == "left" else (self.right, -1.0)

    def stand(self, width: float = STANCE_M) -> None:
        """Both feet under the body, ``width`` metres from its midline."""
        for side, sign in self.sides:
            side.foot_x[:] = sign * width
            side.foot_z[:] = 0.0
            side.foot_yaw[:] = 0.0

    def sway(self, size: float = 1.0) -> None:
        """The small movements of a living body."""
        real = np.arange(self.frames) / self.fps
        self.bend += size * 1.0 * drift(real, self.rng)
        self.lean += size * 0.8 * drift(real, self.rng, period_s=4)
        self.look += size * 3.0 * drift(real, self.rng, period_s=4)
        self.nod += size * 1.5 * drift(real, self.rng, period_s=5)
        for side, _ in self.sides:
            side.flex += size * 2.0 * drift(real, self.rng)
            side.abduct += size * 1.2 * (1 + drift(real, self.rng, period_s=4))
            side.elbow += size * 3.0 * (1 + drift(real, self.rng))

    def pose(self) -> tuple[Float, Float]:
        """Rotations [F, 24, 3, 3] and translation [F, 3] (metres) of the whole clip."""
        offsets = shaped_offsets(self.betas)
        local = np.tile(np.eye(3), (self.frames, 24, 1, 1))
        local[:, 0] = (
            rotations.about("y", np.radians(self.yaw))
            @ rotations.about("x", np.radians(self.pitch))
            @ rotations.about("z", np.radians(-self.roll))
        )
        self._pose_trunk(local)
        for name, side in (("left", self.left), ("right", self.right)):
            self._pose_arm(local, offsets, name, side)
        pelvis = self._pelvis(local[:, 0], offsets)
        for name, side in (("left", self.left), ("right", self.right)):
            self._pose_leg(local, offsets, name, side, pelvis)
        return local, pelvis - offsets[0]

    def _pose_trunk(self, local: Float) -> None:
        bend = np.clip(self.bend + self.style.slouch, -30, 85)
        lean = np.clip(self.lean, -40, 40)
        twist = np.clip(self.spine_twist, -50, 50)
        for joint, share in (("spine1", 0.35), ("spine2", 0.35), ("spine3", 0.3)):
            local[:, JOINT[joint]] = (
                rotations.about("y", np.radians(twist * share))
                @ rotations.about("x", np.radians(bend * share))
                @ rotations.about("z", np.radians(-lean * share))
            )
        nod = np.clip(self.nod + self.style.nod, -40, 45)
        for joint, share in (("neck", 0.5), ("head", 0.5)):
            local[:, JOINT[joint]] = (
                rotations.about("y", np.radians(np.clip(self.look, -70, 70) * share))
                @ rotations.about("x", np.radians(nod * share))
                @ rotations.about("z", np.radians(-np.clip(self.tilt, -30, 30) * share))
            )

    def _pose_arm(self, local: Float, offsets: Float, name: str, side: Side) -> None:
        flip = 1.0 if name == "left" else -1.0
        shoulder = (
            rotations.about("x", np.radians(-np.clip(side.flex, -60, 185)))
            @ rotations.about("z", np.radians(np.clip(side.abduct, -50, 185) - 90))
            @ rotations.about("x", np.radians(-np.clip(side.twist, -90, 100)))
        )
        elbow = np.clip(np.radians(side.elbow), ELBOW_MIN, ELBOW_MAX)
        if np.any(side.reach_weight > 0):
            mirror = np.array([flip, 1.0, 1.0])
            upper = offsets[JOINT[f"{name}_elbow"]] * mirror
            lower = offsets[JOINT[f"{name}_wrist"]] * mirror
            target = side.reach * (np.linalg.norm(upper) + np.linalg.norm(lower))
            distance = np.maximum(np.linalg.norm(target, axis=-1), 1e-3)
            bent = limbs.hinge_angle(upper, lower, "y", distance, ELBOW_MIN, ELBOW_MAX)
            out = np.radians(side.elbow_out)
            pole = np.stack([np.sin(out), -np.cos(out), np.full_like(out, -0.25)], -1)
            aimed = limbs.aim(upper, lower, "y", bent, target, np.cross(target, pole))
            shoulder = limbs.blend(shoulder, aimed, side.reach_weight)
            elbow = elbow + (bent - elbow) * side.reach_weight
        forearm = limbs.hinge("y", elbow)
        hand = rotations.about("z", np.radians(np.clip(side.wrist, -60, 60)))
        collar = rotations.about("z", np.radians(np.clip(side.shrug, -10, 25)))
        # The shoulder follows the raise of the collar only in part: undo it for the arm.
        shoulder = np.swapaxes(collar, -1, -2) @ shoulder
        for joint, matrix in (
            ("collar", collar),
            ("shoulder", shoulder),
            ("elbow", forearm),
            ("wrist", hand),
        ):
            local[:, JOINT[f"{name}_{joint}"]] = limbs.mirrored(matrix) if flip < 0 else matrix

    def _scale(self, offsets: Float) -> float:
        """Leg length in units of the neutral body's."""
        neutral = shaped_offsets(None)
        rows = [JOINT["left_knee"], JOINT["left_ankle"]]
        return float(offsets[rows].sum(0)[1] / neutral[rows].sum(0)[1])

    def _ankle(self, offsets: Float, name: str, side: Side) -> Float:
        """World place [F, 3] of the ankle for the foot's place, lift, yaw and pitch."""
        ball = offsets[JOINT[f"{name}_foot"]]
        sole = (
            SOLE_M
            * np.linalg.norm(ball)
            / np.linalg.norm(shaped_offsets(None)[JOINT[f"{name}_foot"]])
        )
        height = -ball[1] + sole
        # Heel raises turn about the ball, toe raises about the heel.
        pivots = np.where(
            (side.foot_pitch > 0)[:, None],
            np.array([ball[0], -height, ball[2]]),
            np.array([0.0, -height, -0.35 * ball[2]]),
        )
        turn = rotations.about("y", np.radians(side.foot_yaw))
        lean = rotations.about("x", np.radians(side.foot_pitch))
        shift = pivots - np.einsum("fij,fj->fi", lean, pivots)
        place = np.einsum("fij,fj->fi", turn, shift)
        scale = self._scale(offsets)
        place[:, 0] += side.foot_x * scale
        place[:, 1] += height + np.maximum(side.lift, 0) * scale
        place[:, 2] += side.foot_z * scale
        return place

    def _leg_bones(self, offsets: Float, name: str) -> tuple[Float, Float]:
        flip = np.array([1.0 if name == "left" else -1.0, 1.0, 1.0])
        return offsets[JOINT[f"{name}_knee"]] * flip, offsets[JOINT[f"{name}_ankle"]] * flip

    def _pelvis(self, root: Float, offsets: Float) -> Float:
        """World place [F, 3] of the pelvis, lowered to where every standing leg reaches."""
        scale = self._scale(offsets)
        pelvis = np.stack([self.x, self.y, self.z], -1) * scale
        lowest = np.zeros(self.frames)
        for name, side in (("left", self.left), ("right", self.right)):
            upper, lower = self._leg_bones(offsets, name)
            far = limbs.longest(upper, lower, "x", 2 * KNEE_MIN)
            hip = np.einsum("fij,j->fi", root, offsets[JOINT[f"{name}_hip"]])
            ankle = self._ankle(offsets, name, side)
            if name == "left":
                rest = offsets[JOINT["left_hip"]][1]
                standing = far - rest + ankle_height(offsets)
                pelvis[:, 1] += standing - 0.004
            flat = np.linalg.norm((pelvis + hip - ankle)[:, [0, 2]], axis=-1)
            high = np.sqrt(np.maximum(far**2 - flat**2, (0.3 * far) ** 2))
            excess = (pelvis + hip - ankle)[:, 1] - high
            excess *= (1 - side.dangle) * (1 - self.airborne)
            lowest = np.maximum(lowest, excess)
        sigma = self.settle * self.fps / 30
        # A running maximum before the smoothing keeps the smoothed pelvis low enough.
        reach = int(np.ceil(sigma))
        padded = np.pad(lowest, reach, mode="edge")
        lowest = np.max([padded[k : k + self.frames] for k in range(2 * reach + 1)], axis=0)
        pelvis[:, 1] -= smooth(lowest, sigma)
        return pelvis

    def _pose_leg(self, local: Float, offsets: Float, name: str, side: Side, pelvis: Float) -> None:
        flip = 1.0 if name == "left" else -1.0
        mirror = np.array([flip, 1.0, 1.0])
        root = local[:, 0]
        upper, lower = self._leg_bones(offsets, name)
        hip = pelvis + np.einsum("fij,j->fi", root, offsets[JOINT[f"{name}_hip"]])
        target = self._ankle(offsets, name, side) - hip
        target = np.einsum("fji,fj->fi", root, target) * mirror  # into the pelvis's frame
        distance = np.maximum(np.linalg.norm(target, axis=-1), 1e-3)
        bent = limbs.hinge_angle(upper, lower, "x", distance, KNEE_MIN, KNEE_MAX)
        toe_yaw = flip * (side.foot_yaw - self.yaw)
        out = np.radians(np.clip(0.6 * toe_yaw + side.knee_out, -25, 60))
        knee_axis = np.stack([np.cos(out), np.zeros_like(out), -np.sin(out)], -1)
        thigh = limbs.aim(upper, lower, "x", bent, target, knee_axis)
        knee = limbs.hinge("x", bent)
        turn = rotations.about("y", np.radians(side.foot_yaw))
        planted = turn @ rotations.about("x", np.radians(side.foot_pitch))
        planted = np.swapaxes(root, -1, -2) @ planted
        if flip < 0:
            planted = limbs.mirrored(planted)
        planted = np.swapaxes(thigh @ knee, -1, -2) @ planted
        hanging = rotations.about("x", np.radians(np.clip(side.point, -20, 50)))
        ankle = limbs.blend(planted, hanging, side.dangle)
        for joint, matrix in (("hip", thigh), ("knee", knee), ("ankle", ankle)):
            local[:, JOINT[f"{name}_{joint}"]] = limbs.mirrored(matrix) if flip < 0 else matrix


def ankle_height(offsets: Float) -> float:
    """Height of the left ankle over the floor, the foot flat, metres."""
    ball = offsets[JOINT["left_foot"]]
    neutral = shaped_offsets(None)[JOINT["left_foot"]]
    return float(-ball[1] + SOLE_M * np.linalg.norm(ball) / np.linalg.norm(neutral))


def foot_heights(rotation: Float, translation: Float, betas: Float | None) -> Float:
    """Height [F, 2] over the floor of the lowest point of the left and right sole, metres."""
    positions, world = forward_kinematics(rotation, translation, betas)
    offsets = shaped_offsets(betas)
    heights = []
    for name in ("left", "right"):
        ball = offsets[JOINT[f"{name}_foot"]]
        neutral = shaped_offsets(None)[JOINT[f"{name}_foot"]]
        sole = SOLE_M * np.linalg.norm(ball) / np.linalg.norm(neutral)
        low = -(-ball[1] + sole)
        points = np.array([[ball[0], low, ball[2]], [0.0, low, -0.35 * ball[2]]])
        ankle = JOINT[f"{name}_ankle"]
        where = positions[:, None, ankle] + np.einsum("fij,kj->fki", world[:, ankle], points)
        heights.append(where[..., 1].min(-1))
    return np.stack(heights, -1)
