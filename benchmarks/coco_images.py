"""Keypoints on the 2 COCO images of MOTIONKIT_REAL_DATA against the truth of their people.

Once in the truth's boxes and once in those of the detector; for each person OKS as COCO defines
it, and PCK: the share of labelled keypoints within half a head segment. COCO labels no crown and
no neck, so the head segment is taken as the distance of the middle of the ears (else of the eyes,
else the nose) from the middle of the shoulders; in adults that is within a tenth of the distance
from neck to crown. A keypoint that was not found counts as wrong. People whose annotation has no
keypoint are left out: nothing says where theirs are.

    python -m benchmarks.coco_images --pose vitpose --detect yolo
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from motionkit.backends.people import measure, person_detector, pose_estimator
from motionkit.errors import MotionkitError

#: COCO's constants of how far annotators differ, a keypoint.
SIGMAS = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89], np.float64
) / 1000  # fmt: skip
#: A person counts as found from this OKS on, COCO's lowest step.
FOUND = 0.5


@dataclasses.dataclass(frozen=True)
class Person:
    """One annotation: ``keypoints`` [17, 3] x, y, 0 | 1 hidden | 2 seen; ``box`` xyxy pixels."""

    keypoints: np.ndarray
    box: np.ndarray
    area: float

    @property
    def labelled(self) -> np.ndarray:
        return self.keypoints[:, 2] > 0

    def head(self) -> float | None:
        """Length of the head segment in pixels; None where it is not labelled."""
        seen = self.labelled
        shoulders = [i for i in (5, 6) if seen[i]]
        top = next((k for k in ([3, 4], [1, 2], [0]) if seen[k].any()), None)
        if not shoulders or top is None:
            return None
        top = [i for i in top if seen[i]]
        return float(np.linalg.norm(self.middle(top) - self.middle(shoulders)))

    def middle(self, which: list[int]) -> np.ndarray:
        return self.keypoints[which, :2].mean(0)

    def distances(self, found: np.ndarray) -> np.ndarray:
        """Pixels from the truth, of the labelled keypoints; infinite where not found."""
        apart = np.linalg.norm(found[:, :2] - self.keypoints[:, :2], axis=1)
        return np.where(found[:, 2] > 0, apart, np.inf)[self.labelled]

    def oks(self, found: np.ndarray) -> float:
        spread = 2 * SIGMAS[self.labelled]
        return float(np.exp(-(self.distances(found) ** 2) / (2 * self.area * spread**2)).mean())

    def pck(self, found: np.ndarray) -> float | None:
        head = self.head()
        return None if head is None else float((self.distances(found) <= 0.5 * head).mean())


def read(folder: Path) -> list[tuple[str, np.ndarray, list[Person]]]:
    """Name, RGB picture and labelled people of each image."""
    data = json.loads((folder / "coco_keypoints.json").read_text("utf-8"))
    out = []
    for image in data["images"]:
        picture = cv2.imread(str(folder / image["file_name"]))[:, :, ::-1]
        people = []
        for note in data["annotations"]:
            if note["image_id"] == image["id"] and note["num_keypoints"]:
                x, y, w, h = note["bbox"]
                points = np.array(note["keypoints"], np.float64).reshape(17, 3)
                people.append(Person(points, np.array([x, y, x + w, y + h]), note["area"]))
        out.append((image["file_name"], np.ascontiguousarray(picture), people))
    return out


def boxes_of(detector: Any, picture: np.ndarray) -> np.ndarray:
    """Boxes [P, 4] of a detector of either kind in one picture."""
    detector.reset()
    if getattr(detector, "batched", False):
        (people,) = detector.infer(detector.prepare(picture[None]))
    else:
        (people,) = detector.detect(picture[None], np.zeros(1))
    return people.boxes[:, :4]


def poses_in(estimator: Any, picture: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    """Keypoints [17, 3] in each of ``boxes``, every one looked at for itself."""
    out = []
    for box in boxes:
        estimator.reset()
        out.append(measure(estimator, picture[None], box[None])[0])
    return out


def matched(people: list[Person], poses: list[np.ndarray]) -> list[np.ndarray]:
    """For each person the pose of highest OKS that no better pair has; zeros where none is left."""
    found = [np.zeros((17, 3), np.float32) for _ in people]
    pairs = [(p.oks(k), i, j) for i, p in enumerate(people) for j, k in enumerate(poses)]
    taken: tuple[set[int], set[int]] = (set(), set())
    for oks, i, j in sorted(pairs, reverse=True):
        if oks > 0 and i not in taken[0] and j not in taken[1]:
            found[i] = poses[j]
            taken[0].add(i)
            taken[1].add(j)
    return found


def report(title: str, rows: list[tuple[str, Person, np.ndarray]]) -> None:
    """A line a person, and the means over all people; who was not found counts as 0."""
    print(f"{title}:")
    scores, shares = [], []
    for name, person, found in rows:
        oks, pck = person.oks(found), person.pck(found)
        scores.append(oks)
        shares += [] if pck is None else [pck]
        size = person.box[3] - person.box[1]
        shown = "   -" if pck is None else f"{pck:.2f}"
        print(
            f"  {name}  {size:4.0f} px high, {person.labelled.sum():2d} keypoints:  "
            f"OKS {oks:.2f}  PCK {shown}{'' if found.any() else '  nobody measured'}"
        )
    count = sum(score >= FOUND for score in scores)
    print(
        f"  {count} of {len(rows)} people found (OKS >= {FOUND}); mean OKS {np.mean(scores):.2f}, "
        f"mean PCK@0.5 {np.mean(shares):.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pose", default="mediapipe", help="second pass (docs/pose.md)")
    parser.add_argument("--detect", default="mediapipe", help="first pass")
    parser.add_argument("--no-flip-test", action="store_true")
    options = parser.parse_args()
    given = os.environ.get("MOTIONKIT_REAL_DATA", "../shared/data")
    folder = Path(given) / "images"
    if not folder.is_dir():
        print(f"skipped: no images at {folder} (set MOTIONKIT_REAL_DATA)")
        return 0
    estimator: Any = pose_estimator(options.pose, flip_test=not options.no_flip_test)
    detector: Any = person_detector(options.detect)
    try:
        for backend in (estimator, detector):
            if getattr(backend, "batched", False):
                backend.setup_reader()
            backend.setup()
    except MotionkitError as error:
        print(f"{error}\n  {error.hint}", file=sys.stderr)
        return 1
    given_boxes, own_boxes, count = [], [], 0
    for name, picture, people in read(folder):
        poses = poses_in(estimator, picture, np.stack([person.box for person in people]))
        given_boxes += [(name, p, k) for p, k in zip(people, poses, strict=True)]
        boxes = boxes_of(detector, picture)
        count += len(boxes)
        own = matched(people, poses_in(estimator, picture, boxes))
        own_boxes += [(name, p, k) for p, k in zip(people, own, strict=True)]
    print(f"pose {options.pose}, detector {options.detect}")
    report("in the truth's boxes", given_boxes)
    report(f"in the detector's own boxes ({count} of them)", own_boxes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
