"""`motionkit doctor`: what is installed and fits, and the command that cures what does not.

finding.py   one check's outcome
packages.py  Python, the packages that are needed, the extras and what they are for
imports.py   do the packages load? In processes of their own: a broken one may end them
decoders.py  a tiny clip in every codec, through both decoders
cuda.py      torch, torchvision, the driver and the GPUs, and why there are none
machine.py   disk, shared memory, write access, open files, cores, memory
models.py    the model files that are there
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from motionkit.doctor import cuda, decoders, imports, machine, models, packages
from motionkit.doctor.finding import Finding
from motionkit.weights import models_folder

__all__ = ["Finding", "examine"]


def examine(workspace: Path) -> list[Finding]:
    """All checks, in the order in which to cure them. Changes nothing, raises nothing."""
    # The slow ones are started first, each in a process of its own.
    loading, torch_there = imports.start(), cuda.start()
    clips = [decoders.start("av"), decoders.start("decord")]
    findings = [packages.python(), *packages.core()]
    # pipe by pipe: what a process says is read when it has ended
    findings += imports.findings(loading.answer())
    findings += decoders.findings(*(clip.answer() for clip in clips))
    findings += packages.extras()
    findings += cuda.findings(torch_there.answer(), cuda.driver())
    findings += models.findings()
    folders = {"workspace": workspace, "models": models_folder()}
    temporary = Path(tempfile.gettempdir())
    findings += machine.disks({**folders, "temporary files": temporary})
    findings += machine.write_access({**folders, "temporary files": temporary})
    findings += [machine.shared_memory(), machine.open_files(), machine.cores(), machine.memory()]
    return findings
