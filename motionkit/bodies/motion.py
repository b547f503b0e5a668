"""A motion in the world: SMPL-shaped parameters with their frame of reference stated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.rotations import from_axis_angle
from motionkit.bodies.skeleton import forward_kinematics, shaped_offsets

Float = NDArray[np.float64]


@dataclass(frozen=True)
class BodyMotion:
    """World frame: metres, **y up**, floor at y = 0, x to the left of a person facing +z."""

    poses: Float
    """[F, 24, 3] axis-angle, radians; the first joint's turns the body into the world."""
    trans: Float
    """[F, 3] added to the pelvis's rest place, as in SMPL."""
    betas: Float
    """[10] shape values of the built-in skeleton (`skeleton.SHAPE_NAMES`), or of the body whose
    joints ``rest`` are."""
    fps: float
    rest: Float | None = None
    """[24, 3] rest offsets in metres of another body than the built-in one (SMPL with these
    betas); None: the built-in skeleton's."""

    def offsets(self) -> Float:
        """Each joint's place from its parent at rest [24, 3], metres."""
        return shaped_offsets(self.betas) if self.rest is None else self.rest

    def joints(self) -> Float:
        """Joint positions [F, 24, 3] in metres."""
        turns = from_axis_angle(self.poses)
        return forward_kinematics(turns, self.trans, offsets=self.offsets())[0]
