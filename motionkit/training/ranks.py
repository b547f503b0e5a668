"""The processes that train together: one alone needs nothing, several go through Fabric's DDP."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from motionkit.devices import find
from motionkit.errors import MissingExtraError, MotionkitError, TrainingError, UsageError
from motionkit.training import random_state
from motionkit.training.interrupt import Interrupted
from motionkit.training.options import RunOptions

T = TypeVar("T")
Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Ranks:
    """This process among those that train: its number, its device, and what they agree on."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    compile: bool = False
    fabric: Any = None
    """The lightning_fabric.Fabric of this process; None where it is alone."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module on the device, compiled and made to share its gradients where asked for.

        Parameters and buffers become those of the first process.
        """
        module = module.to(self.device)
        if self.compile:
            module.compile()
        return module if self.fabric is None else self.fabric.setup_module(module)

    def autocast(self) -> AbstractContextManager[Any]:
        """Half precision for what can bear it, where asked for."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def backward(self, loss: Tensor) -> None:
        """Gradients of ``loss``."""
        if self.fabric is None:
            loss.backward()
        else:
            self.fabric.backward(loss)

    def sharing(self, module: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward of one draw: gradients are shared at a step's last one."""
        if self.fabric is None or last:
            return nullcontext()
        return self.fabric.no_backward_sync(module)

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process. Every process must ask."""
        if self.world == 1:
            return flag
        held = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(held, torch.distributed.ReduceOp.MAX)
        return bool(held)

    def part_ways(self, seed: int) -> None:
        """From here on, every process but the first draws from a stream of its own."""
        if not self.first:
            random_state.seed_all(seed, self.rank)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in every one of them. Every process must ask."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()


def same_on_all(value: int, device: torch.device) -> int:
    """The first process's ``value``, in every process: for draws that decide what they share."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    held = torch.tensor(value, device=device)
    torch.distributed.broadcast(held, 0)
    return int(held)


def alone(run: RunOptions) -> Ranks:
    """This one process, on the device that ``run`` names."""
    name, precision = _places(run)[0]
    return Ranks(device=torch.device(name), precision=precision, compile=run.compile)


def together(run: RunOptions, train: Callable[..., T], *args: Any, log: Log | None = None) -> T:
    """Calls ``train(ranks, log, *args)`` in as many processes as ``run.devices`` says.

    One runs in this process. Several are started anew (``train`` and ``args`` must be picklable,
    and a script needs its ``if __name__ == "__main__"``); what the first returns is returned, a
    `MotionkitError` that one raises is raised, and ``log`` is called here. MissingExtraError
    without lightning-fabric.
    """
    if run.devices == 1:
        return train(alone(run), log, *args)
    fabric, precision = _fabric(run)
    context = torch.multiprocessing.get_context("spawn")
    errors, rows = context.SimpleQueue(), context.SimpleQueue()
    reader = threading.Thread(target=_read, args=(rows, log), daemon=True)
    reader.start()
    try:
        with _passing_on():
            call = _Held(functools.partial(train, *args))
            found = fabric.launch(_one_rank, precision, run.compile, errors, rows, call).value
    except (ProcessRaisedException, ProcessExitedException) as error:
        if not errors.empty():
            raise errors.get() from None
        last = str(error).strip().splitlines()[-1]
        raise TrainingError(
            f"a training process failed: {last}", hint="run it again to go on from the checkpoint"
        ) from error
    finally:
        rows.put(None)
        reader.join()
    if isinstance(found, Interrupted):
        raise found
    return found


def _fabric(run: RunOptions) -> tuple[Any, str]:
    """A Fabric that starts ``run.devices`` processes, and their precision."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingExtraError(
            "lightning-fabric", "fabric", needed_for=f"training on {run.devices} devices"
        ) from error
    places = _places(run)
    cuda = places[0][0].startswith("cuda")
    numbers: Any = [int(name.partition(":")[2]) for name, _ in places] if cuda else run.devices
    # Not every parameter has a gradient in every step (the residual transformer learns now and
    # then), and a process that waits for one that never comes would wait for ever.
    strategy = DDPStrategy(
        process_group_backend="nccl" if cuda else "gloo",
        start_method="spawn",
        find_unused_parameters=True,
    )
    kind = "cuda" if cuda else "cpu"
    fabric = Fabric(accelerator=kind, strategy=strategy, devices=numbers, num_nodes=1)
    return fabric, places[0][1]


def _read(rows: Any, log: Log | None) -> None:
    """Hands the rows that a training process wrote to ``log``, up to None."""
    while (row := rows.get()) is not None:
        if log is not None:
            log(row)


class _Held:
    """Something that Fabric hands on without looking for tensors inside."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __setstate__(self, state: dict[str, Any]) -> None:  # in the new process, at its start
        self.__dict__.update(state)
        for name in ("lightning.fabric", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)


def _one_rank(
    fabric: Any,
    precision: str,
    compiled: bool,
    errors: Any,
    rows: Any,
    train: _Held,
) -> _Held:
    """In a process of its own."""
    ranks = Ranks(
        rank=fabric.global_rank,
        world=fabric.world_size,
        device=fabric.device,
        precision=precision,
        compile=compiled,
        fabric=fabric,
    )
    try:
        call, args = train.value.func, train.value.args
        made = _Held(call(ranks, rows.put if ranks.first else None, *args))
    except Interrupted as error:  # of all of them alike; torch swallows a KeyboardInterrupt
        made = _Held(error)
    except MotionkitError as error:
        errors.put(error)
        raise  # ends the others, which may be waiting for this one
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # its threads abort a process that just ends
    return made


@contextlib.contextmanager
def _passing_on() -> Iterator[None]:
    """Ctrl-C and SIGTERM go to the training processes; this one waits until they have saved."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in torch.multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, signal.SIGINT)

    before = {n: signal.signal(n, hand_on) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _places(run: RunOptions) -> list[tuple[str, str]]:
    """Device and precision of each process. UsageError where there are too few devices."""
    found, _ = find(run.device, "fp32")
    names = [device.name for device in found]
    if names[0] == "cpu":
        names = ["cpu"] * run.devices
        if run.compile:
            raise UsageError(
                "compile is for CUDA devices, and this training runs on the CPU.",
                hint="leave compile out",
            )
    if len(names) < run.devices:
        raise UsageError(
            f"{run.devices} devices were asked for, and there are {len(names)}: "
            f"{', '.join(names)}.",
            hint="lower --devices",
        )
    half = run.precision == "bf16" or (run.precision == "auto" and names[0].startswith("cuda"))
    return [(name, "bf16" if half else "fp32") for name in names[: run.devices]]
