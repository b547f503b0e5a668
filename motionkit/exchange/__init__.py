"""Data sets in and out: release packs without pixels, and other people's formats."""
