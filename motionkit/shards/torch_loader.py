"""Worker processes and tensors through torch. The loader imports this when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from motionkit.shards.batches import Batch

if TYPE_CHECKING:
    from motionkit.shards.loader import ShardLoader


class ShardBatches(IterableDataset):
    """What is left of a loader's epoch: dicts with tensors, split over a DataLoader's workers."""

    def __init__(self, loader: ShardLoader) -> None:
        super().__init__()
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for batch in self._loader.batches(worker, workers):
            yield {
                name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for name, value in batch.items()
            }

    def __len__(self) -> int:
        return len(self._loader.part().places)


def worker_batches(loader: ShardLoader) -> Iterator[Batch]:
    """What is left of the loader's epoch, read by its worker processes, in order.

    Arrays travel through shared memory as tensors, and are given out as numpy views of them, or
    as tensors where the loader's options say so.
    """
    workers = loader.options.workers
    for batch in DataLoader(ShardBatches(loader), batch_size=None, num_workers=workers):
        if loader.options.tensors:
            yield batch
        else:
            yield {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
