"""Bodies: rotations, the built-in skeleton, projection, exports and drawings of a motion."""
