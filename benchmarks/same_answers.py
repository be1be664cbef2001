#!/usr/bin/env python3
"""The results of a checkout, to the bit: verifies that a refactoring changes no result.

python benchmarks/same_answers.py --data DATA --out before.json                          before the change
python benchmarks/same_answers.py --data DATA --out after.json --compare before.json     after it, on the same machine

DATA holds the real data sets (7scenes/redkitchen). Recorded are: the demo model's poses on its test drive; of every
preset, after two epochs on a few frames on one CPU thread, the weights, curves and held-out error; poses of some of
those models; and the kept predictions' medians. Another checkout is named by --checkout. Exit code 1: a difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[1]
MODEL_PREFIX = "model."
NOT_REPEATABLE = ("images_per_s", "seconds", "time")  # of metrics.jsonl
HEADS = ("heads.epochs=1",)


@dataclass(frozen=True)
class Case:
    """A training of `preset` on the `scenes` (names of splits below), with `overrides`; `teacher` is another case."""

    preset: str
    scenes: tuple[str, ...] = ("near",)
    overrides: tuple[str, ...] = ("epochs=2",)
    teacher: str = ""
    evaluated: bool = False


CASES = {
    "transposenet_cpu": Case("transposenet_cpu"),
    "transposenet_fast": Case("transposenet_fast", evaluated=True),
    "transposenet_virtual": Case("transposenet_virtual"),
    "transposenet_indoor": Case("transposenet_indoor", overrides=("epochs=2", *HEADS)),
    "transposenet_outdoor": Case("transposenet_outdoor", overrides=("epochs=2", *HEADS)),
    "scene_coordinates": Case("scene_coordinates", evaluated=True),
    "demo": Case("demo"),
    "posenet": Case("posenet"),
    "poselstm": Case("poselstm"),
    "bayesian_posenet": Case("bayesian_posenet", evaluated=True),
    "retrieval": Case("retrieval", overrides=("epochs=1",), evaluated=True),
    "multiscene_transformer": Case("multiscene_transformer"),
    "coarse_to_fine": Case("coarse_to_fine"),
    "pose_autoencoder": Case(
        "pose_autoencoder", overrides=("epochs=2", "decoder.epochs=1"), teacher="transposenet_fast", evaluated=True
    ),
    "two scenes": Case("multiscene_transformer", ("near", "far"), evaluated=True),
    "two scenes, clusters": Case("coarse_to_fine", ("near", "far")),
    "two scenes, pose_autoencoder": Case(
        "pose_autoencoder", ("near", "far"), ("epochs=2", "decoder.epochs=1"), teacher="two scenes", evaluated=True
    ),
    "neighbours, average": Case("transposenet_fast", overrides=("epochs=2", "loss.neighbours=1", "ema_decay=0.9")),
    "points, rays": Case(
        "transposenet_virtual",
        overrides=(
            "epochs=2",
            "loss.points=1",
            "model.options.position_encoding=rays",
            "model.options.rotation=6d",
            "model.options.normalise_position=true",
            "augmentation.virtual_translation=0.1",
            "augmentation.view_completion=0.5",
        ),
    ),
}
# First frame and step of two small parts of RedKitchen; every sixth frame is val, every sixth is test.
SPLITS = {"near": (0, 2), "far": (500, 3)}
FRAMES = 36


def write_split(path: Path, first: int, step: int) -> Path:
    lines = ["split,image"]
    for number in range(FRAMES):
        split = {2: "val", 5: "test"}.get(number % 6, "train")
        lines.append(f"{split},redkitchen/seq-01/frame-{first + step * number:06d}.color.jpg")
    path.write_text("\n".join(lines) + "\n")
    return path


class Checkout:
    """The programs of a checkout, run on one thread each with a separate cache."""

    def __init__(self, folder: Path, data: Path, work: Path) -> None:
        self.folder, self.data, self.work = folder, data, work
        self.environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TRANSPOSENET_CACHE": str(work / "cache"),
            "PYTHONPATH": str(folder),
        }
        self.splits = {name: write_split(work / f"{name}.csv", *place) for name, place in SPLITS.items()}

    def run(self, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command],
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")

    def scene_arguments(self, scenes: tuple[str, ...]) -> list[str]:
        arguments = []
        for name in scenes:
            arguments += ["--data", f"7scenes:{self.data / '7scenes'}", "--split", str(self.splits[name])]
            arguments += ["--name", name] if len(scenes) > 1 else []
        return arguments

    def trained(self, name: str) -> dict:
        case, out = CASES[name], self.out(name)
        command = ["training/train.py", "--config", f"config/train/{case.preset}.yaml", "--out", str(out)]
        command += [*self.scene_arguments(case.scenes), *case.overrides, "device=cpu"]
        command += [f"teacher={self.out(case.teacher)}"] if case.teacher else []
        self.run(*command)
        found = {"weights": weights_digest(out / "model.safetensors"), "curves": curves(out / "metrics.jsonl")}
        found["held_out_error"] = held_out_errors(out / "scene.json")
        if case.evaluated:
            found["poses"] = self.predicted(out, self.scene_arguments(case.scenes))
        return found

    def predicted(self, model: Path, data: list[str]) -> str:
        """A digest of the predictions file, whose numbers have nine digits."""
        with tempfile.NamedTemporaryFile(suffix=".csv", dir=self.work) as file:
            self.run("training/evaluate.py", str(model), *data, "--predictions", file.name, "--device", "cpu")
            return hashlib.sha256(Path(file.name).read_bytes()).hexdigest()[:16]

    def demo(self) -> str:
        drive = self.work / "test_drive"
        self.run("demo/render.py", "--out", str(drive), "--drives", "all", "--frames", "40")
        return self.predicted(self.folder / "demo" / "model", ["--data", f"7scenes:{drive}"])

    def kept(self) -> dict:
        """Median metres and degrees of the kept prediction files."""
        out = self.work / "kept.json"
        script = (
            "import json, sys; from pathlib import Path; import numpy as np\n"
            "from benchmarks.runs import prediction_errors; from transposenet_core.formats import load_scene\n"
            f"data, found = Path({str(self.data)!r}), {{}}\n"
            "for fold in range(4):\n"
            "    scene = load_scene(f'7scenes:{data}/7scenes', f'{data}/splits/redkitchen_b50_fold{fold}.csv')\n"
            "    kept = Path(f'benchmarks/results/redkitchen_b50_fold{fold}.csv')\n"
            "    errors = prediction_errors(kept, scene.select('test'))\n"
            "    found[str(fold)] = [float(np.median(each)) for each in errors]\n"
            "Path(sys.argv[1]).write_text(json.dumps(found))"
        )
        self.run("-c", script, str(out))
        return json.loads(out.read_text())

    def out(self, name: str) -> Path:
        return self.work / name.replace(",", "").replace(" ", "_")


def weights_digest(path: Path) -> str:
    """Digest of the network's tensors by name, whatever else is in the file."""
    digest = hashlib.sha256()
    with safe_open(path, framework="np") as file:
        for name in sorted(key for key in file.keys() if key.startswith(MODEL_PREFIX)):  # noqa: SIM118
            value: np.ndarray = file.get_tensor(name)
            digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
    return digest.hexdigest()[:16]


def curves(path: Path) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in NOT_REPEATABLE} for line in lines]


def held_out_errors(path: Path) -> list[list[float]]:
    """Standard deviations of every scene, of either schema."""
    described = json.loads(path.read_text())
    scenes = described.get("scenes") or [described, *described.get("further_scenes", [])]
    return [[*s["held_out_error"]["position_std"], *s["held_out_error"]["rotation_std"]] for s in scenes]


def record(checkout: Checkout, names: list[str]) -> dict:
    """Two at a time, teachers first."""
    found: dict = {}
    with ThreadPoolExecutor(2) as pool:
        for teachers in (True, False):
            ready = [name for name in names if (CASES[name].teacher == "") == teachers]
            for name, result in zip(ready, pool.map(checkout.trained, ready), strict=True):
                found[name] = result
                print(f"{name:<32}{result['weights']}", flush=True)
    return found


def differences(before: object, after: object, where: str = "") -> list[str]:
    """Every leaf that differs, by its path."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [d for k in keys for d in differences(before.get(k), after.get(k), f"{where}/{k}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [d for i, (b, a) in pairs for d in differences(b, a, f"{where}/{i}")]
    return [] if before == after else [f"{where}: {before} before, {after} now"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real data sets")
    parser.add_argument("--out", type=Path, required=True, help="the results, JSON")
    parser.add_argument("--compare", type=Path, help="results of another checkout")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument("--only", nargs="*", help="names of trainings instead of everything")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="same-answers-") as work:
        checkout = Checkout(args.checkout.resolve(), args.data.resolve(), Path(work))
        found: dict = {"trained": record(checkout, args.only or list(CASES))}
        if not args.only:
            found |= {"demo": checkout.demo(), "kept": checkout.kept()}
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    if not args.compare:
        return 0
    found_differences = differences(json.loads(args.compare.read_text()), found)
    print("\n".join(found_differences) or f"equal to {args.compare} to the bit")
    return 1 if found_differences else 0


if __name__ == "__main__":
    sys.exit(main())
