"""Still backgrounds: rooms and outdoor places, cast ray by ray for a pinhole view.

A background is computed once a shot: at the frame's size for a camera that stands, or as a
larger view that is warped for each frame of a camera that moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.synth.textures import FLOORS, WALLS, Pattern, fine_noise, speckle

Float = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Panel:
    """A flat thing on a wall: window, door or picture. Metres along the wall and up."""

    wall: int
    left: float
    right: float
    bottom: float
    top: float
    kind: str
    colour: Float
    seed: int


@dataclass(frozen=True)
class Box:
    """A piece of furniture in the room's frame: opposite corners in metres."""

    low: Float
    high: Float
    colour: Float


@dataclass(frozen=True)
class Place:
    """One background. Indoors a box room, outdoors ground, sky and a skyline."""

    outdoors: bool
    turn: float
    """Radians about y from the world to the room."""
    low: Float
    """[3] corner of the room in its own frame; y is 0."""
    high: Float
    floor: Pattern
    wall: Pattern
    floor_colour: Float
    wall_colours: Float
    """[4, 3] RGB"""
    panels: tuple[Panel, ...]
    boxes: tuple[Box, ...]
    seed: int

    def view(self, centre: Float, rays: Float) -> Float:
        """Colours [H, W, 3] RGB 0..255 seen from ``centre`` along world ``rays`` [H, W, 3]."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        turn = np.array([[c, 0, -s], [0, 1.0, 0], [s, 0, c]])
        origin, along = turn @ centre, rays @ turn.T
        colour, reach = self._outside(origin, along) if self.outdoors else self._room(origin, along)
        for box in self.boxes:
            _draw_box(colour, reach, origin, along, box)
        return np.clip(colour, 0, 255)

    def _room(self, origin: Float, along: Float) -> tuple[Float, Float]:
        wall = np.where(along > 0, self.high, self.low)
        steps = (wall - origin) / np.where(np.abs(along) < 1e-9, 1e-9, along)
        axis = steps.argmin(-1)
        reach = np.take_along_axis(steps, axis[..., None], -1)[..., 0]
        hit = origin + along * reach[..., None]
        colour = np.empty_like(along)
        span = self.high - self.low
        x, y, z = hit[..., 0], hit[..., 1], hit[..., 2]
        edge = np.minimum(np.minimum(x - self.low[0], self.high[0] - x), span[0])
        edge_z = np.minimum(z - self.low[2], self.high[2] - z)
        floor = (axis == 1) & (along[..., 1] < 0)
        ceiling = (axis == 1) & (along[..., 1] > 0)
        colour[floor] = self.floor(x[floor], z[floor], reach[floor], self.floor_colour, self.seed)
        near = np.minimum(edge, edge_z)[floor]
        colour[floor] *= (0.72 + 0.28 * np.clip(near / 0.9, 0, 1) ** 0.6)[:, None]
        near = np.minimum(edge, edge_z)[ceiling]
        colour[ceiling] = (
            np.array([238.0, 237, 232]) * (0.78 + 0.2 * np.clip(near / 1.5, 0, 1) ** 0.6)[:, None]
        )
        for number, (side, positive) in enumerate(((0, False), (0, True), (2, False), (2, True))):
            here = (axis == side) & ((along[..., side] > 0) == positive)
            if not here.any():
                continue
            u = hit[..., 2 - side][here]
            v = y[here]
            paint = self.wall(u, v, reach[here], self.wall_colours[number], self.seed + number)
            paint *= (0.82 + 0.18 * np.clip(v / 1.6, 0, 1))[:, None]
            corner = np.minimum(u - self.low[2 - side], self.high[2 - side] - u)
            paint *= (0.84 + 0.16 * np.clip(corner / 0.8, 0, 1))[:, None]
            paint[v < 0.09] = np.array([226.0, 222, 214]) * 0.86
            paint[(v >= 0.09) & (v < 0.10)] *= 0.7
            for panel in self.panels:
                if panel.wall == number:
                    _draw_panel(paint, u, v, panel)
            colour[here] = paint
        return colour, reach

    def _outside(self, origin: Float, along: Float) -> tuple[Float, Float]:
        down = along[..., 1] < -1e-4
        reach = np.where(down, -origin[1] / np.where(down, along[..., 1], -1.0), 1e4)
        hit = origin + along * np.minimum(reach, 1e4)[..., None]
        flat = np.hypot(along[..., 0], along[..., 2])
        lift = along[..., 1] / np.maximum(flat, 1e-6)
        bearing = np.arctan2(along[..., 0], along[..., 2])
        sky = np.array([118.0, 164, 214]) + np.clip(1 - 1.6 * lift, 0, 1)[..., None] * np.array(
            [104.0, 66, 28]
        )
        cloud = fine_noise(bearing * 2.2, lift * 5.0, self.seed + 3)
        sky = sky + 46 * np.clip(cloud - 0.1, 0, 1)[..., None]
        colour = sky
        # A skyline of hills, then trees or houses in front of it.
        hills = 0.05 + 0.05 * fine_noise(bearing * 1.1, np.zeros_like(bearing), self.seed)
        colour = np.where((lift < hills)[..., None], np.array([126.0, 146, 148]), colour)
        ridge = 0.045 + 0.05 * fine_noise(bearing * 3.0, np.zeros_like(bearing), self.seed + 5)
        ridge = ridge + 0.008 * fine_noise(bearing * 30, np.zeros_like(bearing), self.seed + 7)
        leaf = 1 + 0.3 * fine_noise(bearing * 26, lift * 40, self.seed + 6)
        trees = np.array([74.0, 100, 62]) * leaf[..., None]
        colour = np.where((lift < ridge)[..., None], trees, colour)
        ground = self.floor(hit[..., 0], hit[..., 2], reach, self.floor_colour, self.seed)
        haze = np.clip(reach / 90.0, 0, 1)[..., None]
        ground = ground * (1 - 0.6 * haze) + np.array([196.0, 204, 204]) * 0.6 * haze
        colour = np.where(down[..., None], ground, colour)
        return colour, np.where(down, reach, 1e4)


def _draw_panel(paint: Float, u: Float, v: Float, panel: Panel) -> None:
    a = (u - panel.left) / (panel.right - panel.left)
    b = (v - panel.bottom) / (panel.top - panel.bottom)
    inside = (a > 0) & (a < 1) & (b > 0) & (b < 1)
    if not inside.any():
        return
    a, b = a[inside], b[inside]
    rim = 0.05 if panel.kind != "door" else 0.04
    wide, tall = panel.right - panel.left, panel.top - panel.bottom
    frame = np.minimum(np.minimum(a, 1 - a) * wide, np.minimum(b, 1 - b) * tall) < rim
    if panel.kind == "window":
        out = np.array([150.0, 190, 226]) + (1 - b)[:, None] * np.array([80.0, 50, 20])
        out[b < 0.3 + 0.1 * np.sin(9 * a + panel.seed)] = (120, 150, 110)
        bars = (np.abs(a - 0.5) * wide < 0.025) | (np.abs(b - 0.55) * tall < 0.025)
        out[bars | frame] = (240, 240, 236)
    elif panel.kind == "door":
        out = np.tile(panel.colour, (len(a), 1))
        inner = (np.abs(a - 0.5) < 0.34) & ((np.abs(b - 0.28) < 0.18) | (np.abs(b - 0.73) < 0.2))
        out[inner] *= 0.88
        out[frame] = panel.colour * 0.7
        out[((a - 0.9) ** 2 * wide**2 + (b - 0.48) ** 2 * tall**2) < 0.0012] = (190, 176, 120)
    else:
        waves = fine_noise(a * 2.0 * wide, b * 2.0 * tall, panel.seed)
        other = panel.colour[[1, 2, 0]]
        out = panel.colour + (waves > 0.05)[:, None] * (other - panel.colour)
        out = out * (0.8 + 0.3 * (b > 0.45 + 0.2 * np.sin(5 * a + panel.seed)))[:, None]
        out[frame] = np.array([60.0, 48, 40]) if panel.seed % 2 else np.array([214.0, 206, 190])
    paint[inside] = out


def _draw_box(colour: Float, reach: Float, origin: Float, along: Float, box: Box) -> None:
    safe = np.where(np.abs(along) < 1e-9, 1e-9, along)
    first, second = (box.low - origin) / safe, (box.high - origin) / safe
    enter = np.minimum(first, second)
    leave = np.maximum(first, second)
    start = np.maximum(np.maximum(enter[..., 0], enter[..., 1]), enter[..., 2])
    end = np.minimum(np.minimum(leave[..., 0], leave[..., 1]), leave[..., 2])
    hit = (start < end) & (start > 0.05) & (start < reach)
    if not hit.any():
        return
    axis = enter.argmax(-1)[hit]
    where = origin + along[hit] * start[hit][:, None]
    shade = np.array([0.82, 1.08, 0.95])[axis]
    # Fronts of drawers: dark lines at even heights.
    line = (axis != 1) & (((where[:, 1] - box.low[1]) / 0.3) % 1 < 0.045)
    low = 0.8 + 0.2 * np.clip((where[:, 1] - box.low[1]) / 0.5, 0, 1)
    colour[hit] = box.colour * (shade * low * np.where(line, 0.72, 1.0))[:, None]
    reach[hit] = start[hit]


def random_place(rng: np.random.Generator, low: Float, high: Float, *, outdoors: bool) -> Place:
    """A place round everything between ``low`` and ``high`` ([3], world: people and camera)."""
    turn = float(rng.uniform(0, 2 * np.pi)) if outdoors else float(rng.uniform(-0.5, 0.5))
    c, s = np.cos(turn), np.sin(turn)
    corners = np.array([[x, z] for x in (low[0], high[0]) for z in (low[2], high[2])])
    turned = corners @ np.array([[c, s], [-s, c]])
    room_low = np.array([turned[:, 0].min(), 0.0, turned[:, 1].min()])
    room_high = np.array([turned[:, 0].max(), 0.0, turned[:, 1].max()])
    room_low[[0, 2]] -= rng.uniform(0.9, 2.6, 2)
    room_high[[0, 2]] += rng.uniform(0.9, 2.6, 2)
    room_high[1] = max(rng.uniform(2.6, 3.6), high[1] + 0.3)
    base = np.array([rng.uniform(150, 236)] * 3) + rng.uniform(-26, 26, 3)
    if rng.uniform() < 0.25:
        base *= 0.62
    walls = np.stack([base * f for f in (0.9, 0.95, 1.0, 0.93)])
    seed = int(rng.integers(1 << 16))
    kinds = (
        ("grass", "asphalt", "sand", "paving") if outdoors else ("planks", "tiles", "carpet", "gym")
    )
    floor = kinds[int(rng.integers(len(kinds)))]
    wall = ("plain", "plain", "stripes", "bricks", "wainscot")[int(rng.integers(5))]
    panels: list[Panel] = []
    boxes: list[Box] = []
    if not outdoors:
        panels = _furnish_walls(rng, room_low, room_high)
        boxes = _furnish_floor(rng, room_low, room_high)
    tone = FLOORS[floor][1] * rng.uniform(0.85, 1.1) + rng.uniform(-8, 8, 3)
    return Place(
        outdoors, turn, room_low, room_high, FLOORS[floor][0], WALLS[wall], tone,
        walls, tuple(panels), tuple(boxes), seed,
    )  # fmt: skip


def _furnish_walls(rng: np.random.Generator, low: Float, high: Float) -> list[Panel]:
    panels = []
    for wall in range(4):
        axis = 2 if wall < 2 else 0
        at = low[axis] + rng.uniform(0.3, 1.2)
        while at < high[axis] - 1.2:
            kind = str(rng.choice(["window", "picture", "picture", "door", "gap"]))
            wide = {"window": 1.3, "picture": 0.8, "door": 0.9, "gap": 0.8}[kind]
            wide *= rng.uniform(0.8, 1.3)
            bottom, top = {
                "window": (0.95, 2.15),
                "picture": (1.25, 1.25 + rng.uniform(0.45, 0.9)),
                "door": (0.0, 2.05),
                "gap": (0.0, 0.0),
            }[kind]
            if kind != "gap" and at + wide < high[axis] - 0.2:
                colour = rng.uniform(70, 220, 3)
                if kind == "door":
                    colour = np.array([150.0, 112, 78]) * rng.uniform(0.7, 1.5)
                number = int(rng.integers(100))
                panels.append(Panel(wall, at, at + wide, bottom, top, kind, colour, number))
            at += wide + rng.uniform(0.4, 1.4)
    return panels


def _furnish_floor(rng: np.random.Generator, low: Float, high: Float) -> list[Box]:
    """Low cupboards and shelves against the walls, within the margin that people leave free."""
    boxes = []
    for wall in range(4):
        if rng.uniform() < 0.35:
            continue
        axis, across = (2, 0) if wall < 2 else (0, 2)
        length, deep = rng.uniform(0.7, 1.8), rng.uniform(0.35, 0.6)
        tall = float(rng.choice([0.5, 0.75, 0.9, 1.7]))
        at = rng.uniform(low[axis] + 0.1, max(low[axis] + 0.2, high[axis] - length - 0.1))
        start, end = np.zeros(3), np.zeros(3)
        start[axis], end[axis] = at, at + length
        inner = low[across] if wall in (0, 2) else high[across] - deep
        start[across], end[across] = inner, inner + deep
        end[1] = tall
        colour = rng.uniform(60, 210) * np.array([1.0, rng.uniform(0.75, 1), rng.uniform(0.55, 1)])
        boxes.append(Box(start, end, colour))
    return boxes


def render_view(
    place: Place, centre: Float, rotation: Float, intrinsics: Float, width: int, height: int,
    light: Float, finer: float = 1.4,
) -> Image:  # fmt: skip
    """Picture [H, W, 3] RGB of a place; ``rotation`` world to camera, ``light`` factors on RGB."""
    wide, tall = round(width * finer), round(height * finer)
    x, y = np.meshgrid(
        (np.arange(wide) + 0.5) * width / wide, (np.arange(tall) + 0.5) * height / tall
    )
    pixels = np.stack([x, y, np.ones_like(x)], -1)
    rays = pixels @ (np.linalg.inv(intrinsics).T @ rotation)
    colour = place.view(centre, rays) * light
    image = np.clip(colour, 0, 255).astype(np.uint8)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return speckle(image, place.seed)
