"""What must not be computed in half precision, whatever autocast says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def in_full(method: F) -> F:
    """A method that computes in the precision of its tensors under autocast too.

    Rotations, places and projections: 8 bits of a body 5 m away are centimetres, and of a
    projection with f = 5000 several pixels. The method's tensors must be float32.
    """

    @functools.wraps(method)
    def whole(*args: Any, **kwargs: Any) -> Any:
        first = next(a for a in (*args, *kwargs.values()) if isinstance(a, Tensor))
        with torch.autocast(first.device.type, enabled=False):
            return method(*args, **kwargs)

    return whole  # type: ignore[return-value]
