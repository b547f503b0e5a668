"""Scores, whatever model made what is scored: numpy alone, seeded, tested on closed forms.

`fid` Fréchet distance · `matching` R-precision, MM-Dist, Diversity, Multimodality · `protocol`
runs, intervals, floors, and what must be printed beside every score · `retrieval` recall among
all · `trajectories`, `trajectory_baselines` errors of point tracks, and what to hold them
against.
"""
