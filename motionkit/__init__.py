"""motionkit: videos in, text-motion data sets and trained motion models out."""

__version__ = "0.1.0"
