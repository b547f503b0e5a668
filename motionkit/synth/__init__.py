"""The test bench: procedural human motions, rendered as video files with their truth."""
