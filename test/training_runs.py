"""Small trainings for tests: the `main` of train.py, and its results."""

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRAIN = ROOT / "training" / "train.py"
SMALL = ["image.smaller_edge=32", "image.height=32", "image.width=40", "model.options.layers=1", "device=cpu"]
SMALL += ["model.options.width=32", "model.options.mlp_width=32", "model.options.head_width=64", "validate_every=1"]
train = runpy.run_path(str(TRAIN))["main"]


def arguments(scene: Path, out: Path, *more: str) -> list[str]:
    config = str(ROOT / "config" / "train" / "transposenet_cpu.yaml")
    return ["--config", config, "--data", f"7scenes:{scene}", "--out", str(out), *SMALL, *more]


def figures(out: Path, key: str = "train_loss") -> list[float]:
    """One figure of every line of metrics.jsonl that has it."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line[key] for line in lines if key in line]
