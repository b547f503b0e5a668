"""Draws a skinned mesh into a frame: shaded polygons, back to front, twice the size.

The figure is painted on its own small canvas at double resolution and shrunk onto the frame,
which smooths every edge for the price of four times the pixels of the figure alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import PARENTS
from motionkit.synth.looks import Light, Look
from motionkit.synth.mesh import ZONE, Mesh

Float = NDArray[np.float64]
Frame = NDArray[np.uint8]

_SUPER = 2
_FRACTION_BITS = 3
#: Face details lie on the skin; drawn as if this much nearer, metres.
_PATCH_LEAD_M = 0.02


def paint_figure(
    frame: Frame, mesh: Mesh, look: Look, seen: Float, pixels: Float, light: Float, lamp: Light
) -> None:
    """Paint one person into ``frame`` [H, W, 3] RGB, in place.

    ``seen`` [V, 3] are the mesh's vertices in the camera's frame, ``pixels`` [V, 2] their
    places in the picture, ``light`` [3] the direction to the light in the camera's frame.
    """
    height, width = frame.shape[:2]
    x0, y0 = np.maximum(np.floor(pixels.min(0)).astype(int) - 2, 0)
    x1, y1 = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, [width, height])
    if x1 - x0 < 2 or y1 - y0 < 2 or seen[:, 2].min() < 0.2:
        return
    corners, colours = _visible(mesh, look, seen, light, lamp)
    canvas = np.zeros(((y1 - y0) * _SUPER, (x1 - x0) * _SUPER, 4), np.uint8)
    scale = _SUPER << _FRACTION_BITS
    # Centre of pixel (0, 0) is at coordinate (0.5, 0.5) in `pixels`, at (0, 0) for OpenCV.
    fixed = np.round((pixels - [x0, y0]) * scale - (1 << (_FRACTION_BITS - 1))).astype(np.int32)
    fill = cv2.fillConvexPoly
    for corner, colour in zip(corners, colours, strict=True):
        fill(canvas, fixed[corner], colour, cv2.LINE_8, _FRACTION_BITS)
    small = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    part = frame[y0:y1, x0:x1]
    # The canvas is black where empty, so its colours are already weighted by coverage.
    clear = cv2.cvtColor(255 - small[..., 3], cv2.COLOR_GRAY2RGB)
    under = cv2.multiply(part, clear, scale=1 / 255.0)
    cv2.add(under, small[..., :3], dst=part)


def _visible(
    mesh: Mesh, look: Look, seen: Float, light: Float, lamp: Light
) -> tuple[list[NDArray], list[tuple[int, int, int, int]]]:
    """Polygons that face the camera, furthest first, and their lit colours (RGBA)."""
    quad = seen[mesh.quads]
    normal = np.cross(quad[:, 2] - quad[:, 0], quad[:, 3] - quad[:, 1])
    # Triangles are quads with two equal corners: their diagonals still span them.
    centre = quad.mean(1)
    patch = seen[mesh.patches]
    patch_normal = np.cross(patch[:, 2] - patch[:, 0], patch[:, 3] - patch[:, 0])
    patch_centre = patch.mean(1)
    normals = np.concatenate([normal, patch_normal])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    centres = np.concatenate([centre, patch_centre])
    zones = np.concatenate([mesh.quad_zones, mesh.patch_zones])
    facing = (normals * centres).sum(-1) < 0
    depth = np.linalg.norm(centres, axis=-1)
    count = len(quad)
    lead = np.full(len(patch), _PATCH_LEAD_M)
    lead[mesh.patch_zones == ZONE["iris"]] += 0.004
    depth[count:] -= lead
    depth[:count] += mesh.behind
    soft = 0.5 + 0.5 * (normals @ light)  # light wraps round: no hard terminator
    up = 0.5 - 0.5 * normals[:, 1]
    bright = lamp.ambient * (0.8 + 0.4 * up) + lamp.strength * soft**1.6
    rim = np.clip(1 + (normals * centres).sum(-1) / depth, 0, 1) ** 3
    colour = look.colours[zones] * (bright * (1 - 0.12 * rim))[:, None] * lamp.tint
    lit = np.clip(colour, 0, 255).astype(int)
    chosen = np.nonzero(facing)[0]
    chosen = chosen[np.argsort(-depth[chosen], kind="stable")]
    corners = [mesh.quads[k] if k < count else mesh.patches[k - count] for k in chosen]
    return corners, [(r, g, b, 255) for r, g, b in lit[chosen].tolist()]


def cast_shadow(
    frame: Frame, joints: Float, camera_rotation: Float, camera: tuple[Float, float], lamp: Light
) -> None:
    """Darken the floor where the body [24, 3] (world, metres) stands in the light, in place.

    ``camera`` is the camera's place [3] and focal length in pixels.
    """
    height, width = frame.shape[:2]
    centre, focal = camera
    ground = joints - lamp.direction * (joints[:, 1:2] / lamp.direction[1])
    ground = np.concatenate([ground, joints * [1, 0, 1]])  # and straight down: contact shade
    seen = (ground - centre) @ camera_rotation.T
    if seen[:, 2].min() < 0.3:
        return
    px = seen[:, :2] / seen[:, 2:] * focal + [width / 2, height / 2]
    near = focal / float(np.median(seen[:, 2]))
    pad = int(0.2 * near) + 6
    x0, y0 = np.maximum(np.floor(px.min(0)).astype(int) - pad, 0)
    x1, y1 = np.minimum(np.ceil(px.max(0)).astype(int) + pad, [width, height])
    if x1 - x0 < 8 or y1 - y0 < 8:
        return
    mask = np.zeros(((y1 - y0) // 2, (x1 - x0) // 2), np.uint8)
    half = np.round((px - [x0, y0]) / 2).astype(int).tolist()
    for j, parent in enumerate(PARENTS):
        if parent < 0:
            continue
        thick = 0.28 if j in (3, 6, 9) else 0.15 if j in (1, 2, 4, 5, 7, 8) else 0.09
        size = max(1, round(thick * near / 2 * 0.5))
        cv2.line(mask, half[j], half[parent], 200, size)
    for j in (7, 8, 10, 11):
        cv2.circle(mask, half[24 + j], max(1, round(0.065 * near / 2)), 255, -1)
    cv2.circle(mask, half[15], max(1, round(0.10 * near / 2 * 0.6)), 200, -1)
    reach = max(3, int(0.055 * near / 2) | 1)
    mask = cv2.blur(cv2.blur(mask, (reach, reach)), (reach, reach))
    mask = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    keep = cv2.cvtColor(
        cv2.convertScaleAbs(mask, alpha=-lamp.shadow, beta=255.0), cv2.COLOR_GRAY2RGB
    )
    part = frame[y0:y1, x0:x1]
    cv2.multiply(part, keep, dst=part, scale=1 / 255.0)
