#!/usr/bin/env python3
"""Rebuild the demo's scene model on a CPU: render the training drives, train, and keep the files that ship.

python demo/make_model.py        # what `make demo-model` runs; under half an hour on one core

Intermediate files are in demo/out. After an interruption, existing images are kept and the training is resumed.
The result is demo/model: the scene model, metrics.jsonl and training.log of its training, and training_thumbnails.png,
the training images of the demo's nearest-neighbour retrieval baseline.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from demo.drives import training_drives
from demo.render import render_drives
from demo.retrieval_baseline import THUMBNAILS, write_thumbnails
from transposenet_core.atomic_files import write_folder_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.image_files import read_image

OUT, SHIPPED_MODEL = ROOT / "demo" / "out", ROOT / "demo" / "model"
SHIPPED = ("model.safetensors", "scene.json", "keyframes_0.safetensors", "metrics.jsonl", "config.yaml", "training.log")
MAX_BYTES = 16_000_000


def make_model(out: Path = OUT, ship: Path = SHIPPED_MODEL) -> None:
    scene, run = out / "demo_room", out / "training"
    run.mkdir(parents=True, exist_ok=True)
    frames = [(f"seq-{drive.number:02d}", index) for drive in training_drives() for index in range(len(drive.poses))]
    names = [scene / sequence / f"frame-{index:06d}" for sequence, index in frames]
    images = [name.with_suffix(".color.jpg") for name in names]
    depths = [name.with_suffix(".depth.png") for name in names]
    with open(run / "training.log", "a", buffering=1) as log:
        started = time.monotonic()
        log.write(
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n"
        )
        if not all(path.is_file() for path in (*images, *depths)):
            render_drives(scene, "train", depth=True, keep=True)
            log.write(f"{len(images)} training views rendered in {time.monotonic() - started:.0f} s\n")
        _train(scene, run, log, started)
        log.write(f"done after {(time.monotonic() - started) / 60:.1f} min\n")
    with write_folder_atomically(ship) as folder:
        for name in SHIPPED:
            shutil.copy(run / name, folder / name)
        write_thumbnails(folder / THUMBNAILS, (read_image(image) for image in images))
        size = sum(file.stat().st_size for file in folder.iterdir())
        if size > MAX_BYTES:
            raise UserError(
                f"{ship}: {size / 1e6:.1f} MB, at most {MAX_BYTES / 1e6:.0f} MB may ship; make the network smaller"
            )
    print(f"{ship}: {size / 1e6:.1f} MB, {(time.monotonic() - started) / 60:.1f} min")


def _train(scene: Path, run: Path, log: TextIO, started: float) -> None:
    """Run the training script as a user would; its output is printed and, with the time, written to the log."""
    command = [
        sys.executable,
        str(ROOT / "training" / "train.py"),
        "--config",
        str(ROOT / "config" / "train" / "demo.yaml"),
    ]
    command += ["--data", f"7scenes:{scene}", "--out", str(run)]
    command += ["--resume"] if (run / "checkpoint.safetensors").exists() else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            log.write(f"{(time.monotonic() - started) / 60:5.1f} min  {line.replace(f'{ROOT}/', '')}")
    if process.returncode:
        raise UserError(f"training ended with exit code {process.returncode}; run make demo-model again to continue")


if __name__ == "__main__":
    sys.exit(exit_code(make_model))
