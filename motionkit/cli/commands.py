"""Registers every command, in the order in which `motionkit --help` lists them."""

# ruff: noqa: F401, I001 - imported for what they register, in this order
from motionkit.cli import (
    data,
    masks,
    captions,
    look,
    duplicates,
    exchange,
    train,
    generate,
    trajectories,
    latents,
    edit,
    evaluate,
    lift,
    models,
    plan,
    whole,
)
