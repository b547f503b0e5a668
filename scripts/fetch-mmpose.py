"""Puts a model of mmpose where `motionkit pose --backend mmpose:CONFIG` finds it.

    FOLDER/bin/python scripts/fetch-mmpose.py CONFIG [CHECKPOINT]

FOLDER is the environment of scripts/install-mmpose.sh; CONFIG is the name of a configuration that
mmpose ships, without .py. Its published checkpoint is downloaded and held against the hash in its
name; a CHECKPOINT file of yours is copied instead.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import urllib.parse
from pathlib import Path


def published(configs: Path, name: str) -> str:
    """Where mmpose's model index says that the checkpoint of a configuration is."""
    import yaml

    for index in sorted(configs.rglob("*.yml")):
        data = yaml.safe_load(index.read_text("utf-8"))
        for model in data.get("Models", []) if isinstance(data, dict) else []:
            if Path(str(model.get("Config"))).stem == name and model.get("Weights"):
                return str(model["Weights"])
    raise SystemExit(f"mmpose publishes no checkpoint of {name}: name a file of your own")


def download(address: str, target: Path) -> None:
    """Fetch a checkpoint whose name ends in -HASH_DATE.pth, and compare the hash."""
    import torch

    found = re.search(r"-([0-9a-f]{8})_\d{8}\.pth$", address)
    if found is None:
        raise SystemExit(f"the name of {address} holds no hash to compare: fetch it by hand")
    torch.hub.download_url_to_file(address, str(target), hash_prefix=found[1])


def main() -> None:
    """Read the arguments, and put configuration and checkpoint in place together or not at all."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    import mmpose
    from mmengine.config import Config

    from motionkit.weights import find
    from motionkit.weights.places import place_of

    name = sys.argv[1]
    place = place_of(f"mmpose:{name}")
    configs = Path(mmpose.__file__).parent / ".mim" / "configs"
    shipped = [path for path in configs.rglob("*.py") if path.stem == name]
    if len(shipped) != 1:
        raise SystemExit(f"mmpose ships no configuration {name}: see {configs}")
    if place.path.exists():
        raise SystemExit(f"{place.path} is there already: remove it to fetch it again")
    place.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.path.parent) as made:
        folder = Path(made) / name
        folder.mkdir()
        Config.fromfile(shipped[0]).dump(folder / f"{name}.py")
        if len(sys.argv) == 3:
            given = Path(sys.argv[2])
            shutil.copyfile(given, folder / f"{given.stem}.pth")
        else:
            address = published(configs, name)
            download(address, folder / Path(urllib.parse.urlsplit(address).path).name)
        folder.rename(place.path)
    print(f"{place.path}\nsha256 {find(place.spec).sha256}")


if __name__ == "__main__":
    main()
