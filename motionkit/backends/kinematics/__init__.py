"""The rule-based captioner: what a person's 2D keypoints show, measured and put into words.

`signals` turns keypoints into body heights, the detectors (`travel`, `body`, `limbs`) report
events with their numbers, `describe` chooses among them and writes the sentence. `evidence`
measures what a text somebody else wrote can be held against.
"""

from motionkit.backends.kinematics.describe import RULES_VERSION, Description, describe
from motionkit.backends.kinematics.evidence import Evidence, LimbEvidence, evidence

__all__ = ["RULES_VERSION", "Description", "Evidence", "LimbEvidence", "describe", "evidence"]
