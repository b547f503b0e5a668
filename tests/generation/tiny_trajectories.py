"""A Lang2Motion of random weights saved as a checkpoint, and shards of straight lines for it."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from motionkit.models.lang2motion.model import Lang2Motion
from motionkit.rle import encode_rle
from motionkit.training.checkpoint import pack, save_checkpoint
from motionkit.training.k2m_config import as_table
from motionkit.training.lang2motion import sizes_for
from motionkit.training.lang2motion_config import Lang2MotionTrainConfig, small
from tests.shards.shard_files import write_shards
from tests.training import lines

SIZES = {
    "grid": 3,
    "latent": 16,
    "frames": 8,
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"hidden": 32},
    "reader": {"kind": "mlp", "hidden": 32, "dropout": 0.1},
}


def tiny_model(folder: Path, *, seed: int = 0, **sizes: object) -> Path:
    """lang2motion.safetensors of random weights that move the points visibly."""
    torch.manual_seed(seed)
    config: Lang2MotionTrainConfig = dataclasses.replace(
        small(), encoder="minilm", model={**SIZES, **sizes}
    )
    made = sizes_for(config, lines.DirectionWords())[0]
    network = Lang2Motion(made)
    with torch.no_grad():
        network.decoder.mlp.last.weight.mul_(3)
    path = folder / "lang2motion.safetensors"
    facts = {
        "kind": "lang2motion",
        "config": as_table(config),
        "sizes": dataclasses.asdict(made),
        "encoder": "minilm",
        "encoder_weights": lines.DirectionWords().identity(),
        "pictures": "off",
    }
    save_checkpoint(path, pack("lang2motion", network.state_dict()), facts)
    return path


def line_shards(folder: Path, count: int = 12) -> Path:
    """`lines.rows` with a mask on every first frame."""
    mask = np.zeros((360, 640), bool)
    mask[100:260, 150:490] = True
    counts = encode_rle(mask)["counts"]
    rows = [{**row, "masks": [counts, *[None] * 7]} for row in lines.rows(count)]
    return write_shards(folder, rows)
