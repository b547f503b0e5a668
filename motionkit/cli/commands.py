"""Registers every command, in the order in which `motionkit --help` lists them."""

from motionkit.cli import data, masks, captions, look, duplicates, exchange, learn, models, plan, whole  # noqa: F401, I001 - the order of the help
