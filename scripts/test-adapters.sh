#!/usr/bin/env bash
# Runs the tests of every adapter to other people's models, each against its own library, in
# environments of their own:
#
#     scripts/test-adapters.sh FOLDER [PYTHON]
#
# FOLDER (about 16 GB) is made where it is absent and kept; PYTHON (default: python3) is 3.10 to
# 3.12. No weights are fetched: the models are the real architectures with random ones. CoTracker3's
# code is taken from MOTIONKIT_COTRACKER, a checkout, or cloned into FOLDER. A test that is skipped
# counts as failed here, but for those on real videos (MOTIONKIT_REAL_DATA). Three environments,
# because no one holds all:
#
#     lean    transformers without torchvision   ViTPose, CLIP, CoTracker3, captioners
#     vision  torchvision and ultralytics        YOLO11, SAM 2, and the above once more
#     mmpose  scripts/install-mmpose.sh          ViTPose by mmpose
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
python=${2:-python3}
cd "$(dirname "$0")/.."
failed=()

step() { printf '\n== %s\n' "$1"; }

environment() { # NAME EXTRAS
    step "environment $1"
    [ -x "$folder/$1/bin/python" ] || "$python" -m venv "$folder/$1"
    "$folder/$1/bin/python" -m pip --disable-pip-version-check install -q -e ".[$2]"
}

tests() { # ENVIRONMENT TESTS...
    local name=$1 log=$folder/$1.log
    shift
    step "tests in $name"
    if ! "$folder/$name/bin/python" -m pytest -q -rs "$@" 2>&1 | tee "$log"; then
        failed+=("$name")
    elif grep '^SKIPPED' "$log" | grep -qv 'no real data'; then
        echo "$name: a test was skipped"
        failed+=("$name")
    fi
}

code=${MOTIONKIT_COTRACKER:-$folder/co-tracker}
if [ ! -d "$code" ]; then
    step "CoTracker3's code"
    git clone -q --depth 1 https://github.com/facebookresearch/co-tracker "$code"
fi
export MOTIONKIT_COTRACKER=$code

# What all environments test.
both=(
    tests/backends/test_vitpose.py
    tests/backends/test_cotracker.py
    tests/backends/test_cotracker_code.py
    tests/backends/test_heatmaps.py
)

environment lean "dev,vitpose,clip,minilm"
"$folder/lean/bin/python" -m pip uninstall -q -y torchvision
tests lean "${both[@]}" tests/backends/captioners --deselect \
    tests/backends/captioners/test_local_model.py

environment vision "dev,yolo,vitpose,clip,minilm"
tests vision "${both[@]}" tests/backends/test_yolo.py tests/backends/test_yolo_seg.py \
    tests/backends/test_sam2.py tests/backends/test_clip.py tests/backends/captioners \
    tests/stages/test_detect_yolo.py tests/stages/test_masks_models.py

step "environment mmpose"
scripts/install-mmpose.sh "$folder/mmpose" "$python"
"$folder/mmpose/bin/python" -m pip --disable-pip-version-check install -q "pytest>=8"
tests mmpose tests/backends/test_mmpose_topdown.py

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nfailed: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nall adapters agree with their libraries\n'
