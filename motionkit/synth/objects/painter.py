"""The pictures of a scene, frame by frame: textures warped to their exact place, edges soft."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.synth.objects.grounds import make_ground
from motionkit.synth.objects.scene import Scene, Thing
from motionkit.synth.objects.skins import Skin, make_skin, texel
from motionkit.synth.objects.spec import WorldSpec
from motionkit.synth.objects.views import margin
from motionkit.synth.objects.warp import inverse

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]
#: Strength of the sensor noise, grey levels.
NOISE = 1.6
_SIDES = (128, 192, 256, 384, 512)


def skins_of(spec: WorldSpec, scene: Scene) -> list[Skin]:
    """The textures of a scene's objects, as large as they are ever seen."""
    skins = []
    for k, thing in enumerate(scene.things):
        grown = float((thing.transform[:, 3] * thing.transform[:, 5]).max())
        needed = 2.2 * thing.radius * grown
        side = next((s for s in _SIDES if s >= needed), _SIDES[-1])
        rng = spec.rng(scene.split, scene.number, 10 + k)
        look = thing.look
        skins.append(
            make_skin(look.shape, look.colour, look.pattern, side, rng, two_sided=thing.two_sided)
        )
    return skins


def paint(spec: WorldSpec, scene: Scene, skins: list[Skin]) -> Iterator[tuple[Image, Image]]:
    """Each frame [H, W, 3] RGB with the owner of each pixel [H, W]: 0 the ground, k + 1 object k.

    An object owns a pixel that it covers by half or more and that no later object owns.
    """
    rng = spec.rng(scene.split, scene.number, 1)
    height, width = spec.height, spec.width
    beyond = margin(scene.view, width, height)
    ground = make_ground(width + 2 * beyond, height + 2 * beyond, rng)
    noise = rng.normal(0, NOISE, (height + 32, width + 32, 3)).round().astype(np.int8)
    rolls = rng.integers(0, 33, (spec.frames, 2))
    offset = np.array([[1.0, 0.0, -beyond], [0.0, 1.0, -beyond]])
    still = bool((np.ptp(scene.view, axis=0) == 0).all())
    for frame in range(spec.frames):
        if still:
            picture = ground[beyond : beyond + height, beyond : beyond + width].copy()
        else:
            view = scene.view[frame]
            whole = np.concatenate([view[:, :2], (view @ [*offset[:, 2], 1])[:, None]], -1)
            picture = cv2.warpAffine(ground, whole, (width, height), flags=cv2.INTER_LINEAR)
        owner = np.zeros((height, width), np.uint8)
        for k, (thing, skin) in enumerate(zip(scene.things, skins, strict=True)):
            _lay(picture, owner, k + 1, thing, skin, frame)
        y, x = rolls[frame]
        cv2.add(picture, noise[y : y + height, x : x + width], picture, dtype=cv2.CV_8U)
        yield picture, owner


def _lay(picture: Image, owner: Image, name: int, thing: Thing, skin: Skin, frame: int) -> None:
    """Draw one object over what is there."""
    warp = thing.warp
    affine = warp.affine[frame]
    reach = warp.reach()
    # Half sides of the box that holds the object's square.
    half = reach * np.abs(affine[:, :2]).sum(1) + 1
    height, width = owner.shape
    x0, y0 = np.maximum(np.floor(affine[:, 2] - half), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(affine[:, 2] + half) + 1, [width, height]).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    levels = skin.front if warp.facing[frame] >= 0 else skin.back
    stretch = float(np.linalg.norm(affine[:, :2], 2))  # pixels of an object unit
    ratio = skin.side / 2 / stretch
    texture = levels[int(np.clip(np.round(np.log2(max(ratio, 1e-9))), 0, len(levels) - 1))]
    patch = _warped(texture, thing, frame, x0, y0, x1 - x0, y1 - y0)
    alpha = patch[..., 3]
    part = picture[y0:y1, x0:x1]
    rest = cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB)
    part[...] = cv2.add(patch[..., :3], cv2.multiply(part, rest, scale=1 / 255))
    owner[y0:y1, x0:x1][alpha >= 128] = name


def _warped(
    texture: Image, thing: Thing, frame: int, x0: int, y0: int, width: int, height: int
) -> Image:
    """[height, width, 4]: the texture as it lies in a window of the picture."""
    side = texture.shape[0]
    warp = thing.warp
    if not warp.wave[frame, [0, 3]].any():
        back = inverse(warp.affine[frame]) * (side / 2)
        back[:, 2] += back[:, 0] * x0 + back[:, 1] * y0 + side / 2 - 0.5
        return cv2.warpAffine(
            texture, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
    pixels = np.stack(np.meshgrid(np.arange(x0, x0 + width), np.arange(y0, y0 + height)), -1)
    place = texel(warp.from_pixels(frame, pixels.astype(np.float64)), side).astype(np.float32)
    return cv2.remap(texture, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
