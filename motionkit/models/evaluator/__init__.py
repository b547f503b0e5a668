"""The judge of generated motions: a text–motion matching network (Guo et al. 2022, TMR).

`config` sizes · `network` motion and text to one space · `losses` contrastive, with negatives
that are none left out. Pure torch: no files, no command line.
"""
