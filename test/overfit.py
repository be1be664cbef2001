"""Overfitting 32 images from the command line, and the errors of the localizer on these same images."""

from pathlib import Path

import numpy as np
from small_scene import write_small_scene
from training_runs import ROOT, train

from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer

SMALL = ["image.smaller_edge=72", "image.height=72", "image.width=96", "augmentation.random_crop=false"]
SMALL += ["augmentation.colour_jitter=0", "hold_out=false", "device=cpu", "validate_every=20", "batch_size=8"]


def arguments(preset: str, scene: Path, out: Path, *more: str) -> list[str]:
    config = str(ROOT / "config" / "train" / f"{preset}.yaml")
    return ["--config", config, "--data", f"7scenes:{scene}", "--out", str(out), *SMALL, *more]


def training_errors(preset: str, folder: Path, *more: str) -> tuple[float, float]:
    """Median error in metres and degrees of the localizer on the training images."""
    scene, out = write_small_scene(folder / "desk", frames=32), folder / "out"
    assert train(arguments(preset, scene, out, *more)) == 0
    localizer = Localizer(out, device="cpu")
    images = load_scene(f"7scenes:{scene}").select("train")
    assert len(images) == 32
    poses = [localizer.localize(read_image(image.path)).pose for image in images]
    metres, degrees = (np.median(e) for e in pose_errors(poses, [image.pose for image in images]))
    print(f"{preset}: median {metres:.4f} m {degrees:.3f} deg")
    return float(metres), float(degrees)
