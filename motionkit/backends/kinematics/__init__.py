"""The rule-based captioner: what a person's 2D keypoints show, measured and put into words.

`signals` turns keypoints into body heights, the detectors (`travel`, `body`, `limbs`) report
events with their numbers, `describe` chooses among them and writes the sentence.
"""

from motionkit.backends.kinematics.describe import RULES_VERSION, Description, describe

__all__ = ["RULES_VERSION", "Description", "describe"]
