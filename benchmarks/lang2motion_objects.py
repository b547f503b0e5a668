"""What Lang2Motion learns from rendered objects, on the way that a user's MeViS goes.

    python -m benchmarks.lang2motion_objects --out DIR [--videos 300] [--steps 3000] [--seeds 0]
    python -m benchmarks.lang2motion_objects --out DIR --ablations --steps 900

`motionkit synth --kind objects`, `motionkit run` of the MeViS recipe (ingest, expressions, scan,
track --grid 6, shards), then `motionkit train lang2motion`, each as a command. Judged on the videos
of `valid_u`: retrieval, ADE beside its baselines averaged over the motions, for sentences with
words of the training and with held-out ones apart, and whether direction words are obeyed. What is
done already in DIR is kept. ``--ablations`` trains with one thing changed at a time. Another
``--world-seed`` makes other videos: settings were chosen on those of seed 0.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionkit.backends.feature_cache import FeatureCache
from motionkit.backends.text_encoder import of_sentences, text_encoder
from motionkit.metrics.retrieval import cosine_scores, recall, relevance_of
from motionkit.metrics.trajectories import ade
from motionkit.metrics.trajectory_baselines import borrowed, mean_motion, nearest_text, static
from motionkit.shards.reader import open_shards
from motionkit.synth.objects import phrases
from motionkit.training.lang2motion import FEATURES, load_lang2motion
from motionkit.training.lang2motion_data import TrackData, load_items, prepare
from motionkit.training.lang2motion_task import embed_items, generate_pairs, read_texts

FRAME = (640, 360)
#: What is changed in a training → settings. The first is what the others are held against.
ABLATIONS: dict[str, dict[str, str]] = {
    "small": {},
    "no text loss": {"losses.text": "0", "losses.contrast": "0"},
    "no contrast": {"losses.contrast": "0"},
    "no text-recon": {"losses.text_recon": "0"},
    "L2": {"losses.norm": "l2"},
    "direct decoding": {"model.decoder.kind": "direct"},
    "grid 3": {"model.grid": "3"},
    "grid 4": {"model.grid": "4"},
    "grid 8": {"model.grid": "8"},
    "grid 10": {"model.grid": "10"},
    "teacher forcing": {"scheduled_sampling": "0"},
    "no clock, no velocity": {"model.decoder.clock": "false", "model.decoder.velocity": "false"},
    "no affine": {"model.decoder.affine": "false"},
    "absolute positions": {"model.decoder.relative": "false", "model.encoder.relative": "false"},
    "sentence features": {"encoder": "minilm", "model.reader.kind": "mlp"},
    "no reader": {"encoder": "minilm", "model.reader.kind": "none"},
}
#: The paper's own form, at the small model's sizes and without CLIP: no picture, no CLIP space.
PAPERS = {
    "model.decoder.clock": "false", "model.decoder.velocity": "false",
    "model.decoder.relative": "false", "model.decoder.affine": "false",
    "model.encoder.relative": "false", "model.reader.kind": "none", "encoder": "minilm",
    "losses.contrast": "0", "losses.text_recon": "0.5", "scheduled_sampling": "0",
}  # fmt: skip
ABLATIONS |= {
    f"paper's form{name}": PAPERS | changes
    for name, changes in (
        ("", {}),
        (", no text loss", {"losses.text": "0"}),
        (", no text-recon", {"losses.text_recon": "0"}),
        (", L2", {"losses.norm": "l2"}),
        (", direct", {"model.decoder.kind": "direct"}),
    )
}


def command(*words: str) -> float:
    """Run a motionkit command; seconds it took. Exits where it fails."""
    start = time.monotonic()
    made = subprocess.run([sys.executable, "-m", "motionkit", *words], check=False)
    if made.returncode:
        raise SystemExit(f"motionkit {' '.join(words)}: exit code {made.returncode}")
    return time.monotonic() - start


def shards_of(out: Path, given: argparse.Namespace, grid: int = 6) -> Path:
    """World → shards in ``out``, by commands; each grid has a workspace of its own."""
    world = out / "world"
    workspace = out / ("workspace" if grid == 6 else f"workspace-{grid}")
    if (workspace / "shards" / "manifest.json").is_file():
        return workspace / "shards"
    took = command(
        "synth", str(world), "--kind", "objects", "--videos", str(given.videos),
        "--width", str(given.width), "--height", str(given.width * 9 // 16), "--frames", "30",
        "--sentences", str(given.sentences), "--splits", "train=0.85,valid_u=0.15",
        "--seed", str(given.world_seed), "--workers", str(given.workers), "--quiet",
    )  # fmt: skip
    print(f"synth: {took:.0f} s", flush=True)
    recipe = out / f"tracks-{grid}.toml"
    recipe.write_text(
        'title = "objects"\n[ingest]\nframe_rate = 20.0\n[expressions]\n[scan]\n'
        f"[track]\ngrid = {grid}\nframes = 30\n"
        "[shards]\nrequire_captions = true\nrequire_masks = true\n"
    )
    took = command(
        "--workspace", str(workspace), "run", str(recipe), "--source", str(world),
        "--workers", str(given.workers), "--quiet",
    )  # fmt: skip
    print(f"ingest, expressions, scan, track, shards: {took:.0f} s", flush=True)
    return workspace / "shards"


def facts_of(world: Path) -> dict[str, dict[str, Any]]:
    """Sentence → what it says (motion, direction, speed, held_out).

    Of all splits: what looks like a near-duplicate of a judged video is judged, too, and not
    trained on."""
    found: dict[str, dict[str, Any]] = {}
    for split in ("train", "valid_u"):
        table = json.loads((world / split / "meta_expressions.json").read_text("utf-8"))
        for video in table["videos"].values():
            found |= {e["exp"]: e for e in video["expressions"].values()}
    return found


def judge(model: Path, shards: Path, world: Path) -> dict[str, Any]:
    """All numbers of one model."""
    network, facts = load_lang2motion(model)
    encoder: FeatureCache[str] = FeatureCache(model / FEATURES, text_encoder(facts["encoder"]))
    opened, size = open_shards(shards), network.config
    test, train = (
        prepare(
            load_items(opened.samples(split), grid=size.grid, frames=size.frames)[0],
            size.grid,
            encoder,
        )
        for split in ("test", "train")
    )
    said_of = facts_of(world)
    texts, said, item_of = read_texts(network, test)
    latents = embed_items(network, test)
    motions = np.array([said_of[text]["motion"] for text in said])
    held = np.array([said_of[text]["held_out"] for text in said])
    like = FeatureCache(
        shards.parent / "sentence_features", text_encoder(of_sentences(facts["encoder"]))
    )
    errors = _errors(network, test, train, like)
    scores, relevant = (
        cosine_scores(texts, latents),
        relevance_of(said, item_of.tolist(), len(test.items)),
    )
    parts = {"all": held >= 0, "words of the training": ~held, "held-out words": held}
    report: dict[str, Any] = {
        "items": len(test.items),
        "train_items": len(train.items),
        "train_sentences": len(train.pairs),
    }
    for name, part in parts.items():
        found = recall(scores[part], relevant[part], (1, 5))
        means = {m: _over_motions(e[part], motions[part]) for m, e in errors.items()}
        report[name] = {
            "sentences": int(part.sum()),
            "r1": found.at[1],
            "r5": found.at[5],
            "chance": found.chance[1],
            **means,
        }
    report["motions"] = {
        m: {name: float(np.nanmean(e[motions == m])) for name, e in errors.items()}
        for m in sorted(set(motions))
    }
    report["directions"] = directions(network, encoder, test)
    return report


def _errors(
    network: Any, test: TrackData, train: TrackData, like: FeatureCache[str]
) -> dict[str, np.ndarray]:
    """ADE [P] in pixels of every pair, by method; ``like``: features of sentences."""
    _, asked, item_of = test.own_texts()
    _, known, of_train = train.own_texts()
    true = np.stack([test.items[i].points for i in item_of])
    seen = np.stack([test.items[i].visible for i in item_of])
    lent = np.stack([item.points for item in train.items])
    shown = np.stack([item.visible for item in train.items])
    near = nearest_text(like.encode(asked), like.encode(known), of_train)
    made = {
        "model": generate_pairs(network, test),
        "static": static(true[:, 0], true.shape[1]),
        "mean motion": mean_motion(true[:, 0], lent, shown),
        "nearest text": borrowed(true[:, 0], lent, near),
    }
    return {
        name: np.array([ade(m, t, v, FRAME) for m, t, v in zip(rows, true, seen, strict=True)])
        for name, rows in made.items()
    }


def _over_motions(errors: np.ndarray, motions: np.ndarray) -> float:
    """Mean of the motions' means: a frequent motion counts no more than a rare one."""
    return float(np.mean([np.nanmean(errors[motions == m]) for m in sorted(set(motions))]))


AHEAD = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def directions(network: Any, encoder: Any, data: TrackData) -> dict[str, float]:
    """Share of prompts whose grid moves mostly the way that they say.

    Prompts have verbs, nouns and templates of held-out sentences; ``word``: only the four words
    themselves are swapped (the issue's test); ``training``, ``held_out``: in all phrasings that
    training sentences have for a direction, and in those that they never have.
    """
    rng = np.random.default_rng(0)
    groups: dict[str, Callable[[str], tuple[str, ...]]] = {
        "word": lambda way: (way,),
        "training": lambda way: phrases.DIRECTIONS[way][0],
        "held_out": lambda way: phrases.DIRECTIONS[way][1],
    }
    found = {}
    for name, ways_of in groups.items():
        prompts, wanted = [], []
        for verb in phrases.VERBS["move"][1]:
            for template in phrases.TEMPLATES[1]:
                for noun in ("red star", "blue rabbit", "object"):
                    adverb = str(rng.choice([w for a in phrases.ADVERBS.values() for w in a[1]]))
                    for way in AHEAD:  # the same prompt, with the direction swapped
                        for words in ways_of(way):
                            finite, participle = (f"{form} {words} {adverb}" for form in verb)
                            prompts.append(template.format(n=noun, f=finite, p=participle))
                            wanted.append(AHEAD[way])
        with torch.no_grad():
            latent = network.read(torch.from_numpy(encoder.encode(prompts)))
        chosen = rng.integers(len(data.items), size=len(prompts))
        first = torch.from_numpy(np.stack([data.items[i].points[0] for i in chosen]))
        moved = (network.generate(latent, first)[:, -1] - first).mean(1).numpy() * np.array(FRAME)
        along = (moved * np.array(wanted)).sum(1)
        found[name] = float((along >= np.abs(moved).max(1)).mean())
        found[f"{name}_prompts"] = len(prompts)
    return found


def lines_of(name: str, report: dict[str, Any]) -> list[str]:
    """For people."""
    out = []
    for part in ("all", "words of the training", "held-out words"):
        row = report[part]
        out.append(
            f"{name:<22} {part:<22} R@1 {row['r1']:6.1%} ="
            f" {row['r1'] / row['chance']:5.1f} × chance"
            f"  R@5 {row['r5']:6.1%}  ADE {row['model']:6.1f} px"
            f" = {row['model'] / row['static']:.2f} × static ({row['static']:.1f}),"
            f" nearest text {row['nearest text']:.1f}, mean motion {row['mean motion']:.1f}"
        )
    d = report["directions"]
    out.append(
        f"{name:<22} directions obeyed: left/right/up/down swapped {d['word']:.1%}"
        f" of {d['word_prompts']}; all training phrasings {d['training']:.1%}"
        f" of {d['training_prompts']}; held-out phrasings {d['held_out']:.1%}"
        f" of {d['held_out_prompts']}"
    )
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables; DIR/report.json holds all numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="default: a folder that goes when it is done")
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--sentences", type=int, default=6)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--only", nargs="*", help="of the ablations only these")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--world-seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        return measure(given)
    with tempfile.TemporaryDirectory() as folder:
        given.out = Path(folder)
        return measure(given)


def measure(given: argparse.Namespace) -> int:
    """Everything that the options ask for."""
    begun = time.monotonic()
    shards_of(given.out, given)
    table: dict[str, Any] = {}
    runs = {
        f"{name}" if seed == given.seeds[0] else f"{name}, seed {seed}": (changes, seed)
        for seed in given.seeds
        for name, changes in ABLATIONS.items()
        if (name in given.only if given.only else given.ablations or name == "small")
    }
    for name, (changes, seed) in runs.items():
        shards = shards_of(given.out, given, int(changes.get("model.grid", "6")))
        model = given.out / "models" / re.sub(r"[^a-z0-9]+", "_", f"{name} {given.steps}".lower())
        model.mkdir(parents=True, exist_ok=True)
        settings = {
            "preset": "small", "steps": given.steps, "batch": given.batch, "seed": seed,
            "val_every": 0, "picture_every": 0, **changes,
        }  # fmt: skip
        words = [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]
        took = command(
            "--workspace", str(shards.parent), "train", "lang2motion",
            "--shards", str(shards), "--out", str(model), *words, "--quiet",
        )  # fmt: skip
        table[name] = {**judge(model, shards, given.out / "world"), "seconds": took}
        print("\n".join(lines_of(name, table[name])), f"  ({took:.0f} s)", flush=True)
    load = os.getloadavg()[0]
    seconds = time.monotonic() - begun
    report = {"runs": table, "seconds": seconds, "load": load, "options": vars(given)}
    path = given.out / "report.json"
    path.write_text(json.dumps(report, indent=1, default=str), "utf-8")
    print(f"{seconds / 60:.1f} minutes in all; load of the machine {load:.1f}; {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
