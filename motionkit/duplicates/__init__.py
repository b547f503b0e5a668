"""Near-duplicate videos: copies that were re-encoded, rescaled or trimmed (docs/duplicates.md).

Needs numpy alone; `motionkit.video.video_hash` makes the hashes.
"""

from motionkit.duplicates.pairs import Pair, Video, find_groups, find_pairs, groups_of

__all__ = ["Pair", "Video", "find_groups", "find_pairs", "groups_of"]
