"""Training loops, their state and their checkpoints."""
