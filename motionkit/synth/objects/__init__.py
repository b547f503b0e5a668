"""A world of moving objects in MeViS' layout: frames, sentences, masks, and exact tracks.

`write.write_world` makes it, `truth.load_truth` reads what is true about a video. From the
bottom: `warp` (where a point of an object is in a frame), `shapes`, `skins` and `grounds` (what
things look like), `courses`, `motions`, `relations` and `views` (how they and the camera move),
`phrases` and `wording` (what is said of it), `scene` (one video's plan), `painter` (its pictures
and masks), `truth`, `write`.
"""
