#!/usr/bin/env bash
# Installs motionkit and mmpose 1.3.2 into an environment of their own:
#
#     scripts/install-mmpose.sh FOLDER [PYTHON]
#
# FOLDER is made where it is absent; PYTHON (default: python3) is 3.10 to 3.12. What FOLDER holds
# already is kept, so that a torch of your choice can be put there first. Needs a C compiler.
#
# Plain `pip install mmpose` fails, for reasons that each step below removes.
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
folder=$1
python=${2:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)

step() { printf '\n== %s\n' "$1"; }

step "environment in $folder"
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
python=$folder/bin/python
"$python" - <<'PYTHON'
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit(f"Python 3.10 to 3.12 is needed, not {sys.version.split()[0]}")
PYTHON
# mmengine imports pkg_resources, which later setuptools do not have; it holds for all steps.
constraints=$folder/install-mmpose-constraints.txt
printf 'setuptools<81\nnumpy>=2,<3\n' >"$constraints"
install() { "$python" -m pip --disable-pip-version-check install -q --no-warn-conflicts -c "$constraints" "$@"; }

step "build tools"
install setuptools wheel "cython>=3" numpy

# One call for both, so that they match.
step "torch and torchvision"
"$python" -c "import torch, torchvision" 2>/dev/null || install torch torchvision

step "motionkit"
install -e "$root"

# Its wheels were built for numpy 1 and crash under numpy 2.
step "xtcocotools, from source"
install --no-build-isolation --no-binary xtcocotools "xtcocotools>=1.14"

# mmpose asks for chumpy, which does not install any more and serves body models alone; mmdet asks
# for an older mmcv than mmpose. So these come without what they ask for, and that is named here.
step "mmpose"
install --no-deps \
    mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 mmpretrain==1.2.0 mmpose==1.3.2
install addict pyyaml yapf termcolor packaging rich \
    matplotlib pillow scipy munkres json-tricks \
    pycocotools shapely six terminaltables tqdm \
    einops importlib-metadata mat4py modelindex

# mmcv-lite has no compiled operators, and mmdet imports their names. This stands in for them:
# whoever calls one is told. Pose models need none.
step "names of mmcv's operators"
"$python" - <<'PYTHON'
import importlib.util
from pathlib import Path

found = importlib.util.find_spec("mmcv")
assert found is not None and found.origin is not None
stand_in = Path(found.origin).parent / "_ext.py"
stand_in.write_text('''"""Stands in for mmcv's compiled operators, which mmcv-lite lacks."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(f"mmcv-lite has no operator {name}; build mmcv 2.1.0 for it")

    return missing
''')
PYTHON

# modelindex installs its tests as a package named tests, which hides those of every project.
"$python" - <<'PYTHON'
import importlib.metadata
import shutil

for file in importlib.metadata.files("model-index") or ():
    if file.parts[0] == "tests":
        shutil.rmtree(file.locate().parent, ignore_errors=True)
PYTHON

step "a look at it: ViTPose-S with random weights on a grey picture"
"$python" -W ignore - <<'PYTHON'
from pathlib import Path

import mmpose
import numpy as np
from mmpose.apis import inference_topdown, init_model

name = "td-hm_ViTPose-small_8xb64-210e_coco-256x192.py"
config = next(Path(mmpose.__file__).parent.glob(f".mim/configs/**/{name}"))
model = init_model(str(config), None, "cpu")
(sample,) = inference_topdown(model, np.full((480, 640, 3), 128, np.uint8), np.array([[9, 9, 99, 199]]))
assert sample.pred_instances.keypoints.shape == (1, 17, 2)
PYTHON

printf '\nDone. Run motionkit from it:\n    %s/bin/motionkit doctor\n' "$folder"
