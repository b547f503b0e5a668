"""Lang2Motion: text to point trajectories (spec: the Lang2Motion paper, section 3).

`config` sizes · `encoder` trajectories (and overlay features) → latent · `decoder` latent and
first frame → trajectories · `losses` the six losses · `model` the two together.
Pure torch: no files, no command line.

Layout everywhere: points [B, T, N, 2], x right and y down, −1 and 1 at the frame's edges;
visible [B, T, N] bool; real [B, T] bool, False on padding.
"""
