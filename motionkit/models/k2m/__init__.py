"""K2M: text to 3D human motion, learned from 2D keypoints alone (spec: the K2M paper, section 3).

`config` sizes · `observe` keypoints → normalised input and viewing cue · `adapter` DSTformer
block · `quantiser` residual VQ · `tokenizer` 2D → tokens → 3D · `losses` the seven losses ·
`cycle` consistency under new views · `transformers` text → tokens · `sampling` decoding.
Pure torch: no files, no command line.
"""
