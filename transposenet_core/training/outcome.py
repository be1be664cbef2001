"""What a training leaves behind: the best scene model so far, and what each stage reached."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from tqdm import tqdm

from transposenet_core.errors import UserError
from transposenet_core.scene import LEFT_OUT, Scene, common_units, unit_name
from transposenet_core.scene_model import MappedScene, SceneModel
from transposenet_core.training.checkpoint import Progress
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.curves import Curves
from transposenet_core.training.network import model_options, preprocessing_of
from transposenet_core.training.scene_validation import SceneValidators, Validation
from transposenet_core.training.stages import Stage


@dataclass(eq=False)
class Outcome:
    """The folder of a run. Only the leading process writes."""

    out: Path
    scenes: Sequence[Scene]
    config: TrainConfig
    validators: SceneValidators
    provenance: dict

    def consider(
        self, network: nn.Module, stage: Stage, progress: Progress, epoch: int, curves: Curves, name: str = ""
    ) -> None:
        """Keep the network as the scene model where the held-out frames like it better than any before.

        `name` is what it goes by in the report, the stage where it is left out.
        """
        name = name or stage.learns
        validation, several = self.validators(network), len(self.scenes) > 1
        figures, unit = validation.summary, unit_name(common_units(self.scenes))
        curves.write(
            progress.epochs_before + epoch,
            name,
            val_median_m=figures.median_m,
            val_median_deg=figures.median_deg,
            val_score=validation.score,
            **({"val_scene_accuracy": validation.scene_accuracy} if several else {}),
        )
        tqdm.write(
            f"{name}, epoch {epoch}: {self.validators.source}: "
            f"median {figures.median_m:.3f} {unit} {figures.median_deg:.2f} deg"
            + (f", the scene of {validation.scene_accuracy:.1%} was found" if several else "")
        )
        if validation.score < progress.best_score:
            progress.best_score = validation.score
            progress.best[name] = {"epoch": epoch, "m": figures.median_m, "deg": figures.median_deg}
            model = make_scene_model(self.scenes, self.config, stage, network, validation)
            model.parity_image_P3HW = self.validators.parity_images()
            model.provenance = (
                self.provenance
                | model.provenance
                | {
                    "stage": name,
                    "epoch": epoch,
                    "backbone": progress.backbone,
                }
            )
            model.save(self.out, self.config.half_precision_weights)

    def report(self, progress: Progress) -> str:
        """One line per stage: the best it reached on the held-out frames, and that a stage gained nothing if so."""
        lines, before, unit = [f"scene model: {self.out}"], None, unit_name(common_units(self.scenes))
        for name in progress.stages:
            reached = progress.best.get(name)
            if reached is None:
                lines.append(f"  {name}: gained nothing on {self.validators.source}")
                continue
            figures, gain = f"median {reached['m']:.4f} {unit} {reached['deg']:.3f} deg", ""
            if before is not None:
                gain = (
                    f", {before['m'] - reached['m']:+.4f} {unit} and {before['deg'] - reached['deg']:+.3f} deg better"
                )
            lines.append(f"  {name}: {figures} at epoch {reached['epoch']}{gain}")
            before = reached
        return "\n".join(lines)


def make_scene_model(
    scenes: Sequence[Scene], config: TrainConfig, stage: Stage, network: nn.Module, validation: Validation
) -> SceneModel:
    """Everything a robot needs to run this network in these scenes."""
    return SceneModel(
        architecture=config.model.name,
        options=model_options(config, stage, scenes[0].intrinsics, len(scenes)),
        preprocessing=preprocessing_of(config),
        network=network,
        scenes=mapped_scenes(scenes, validation),
        provenance={"validation": validation.to_dict([s.name for s in scenes]), "config": config.to_dict()},
    )


def mapped_scenes(scenes: Sequence[Scene], validation: Validation) -> tuple[MappedScene, ...]:
    """What a scene model keeps of its scenes."""
    validated = zip(scenes, validation.scenes, strict=True)
    return tuple(MappedScene.of(scene, its.held_out_error, its.calibration) for scene, its in validated)


def is_usable(folder: Path) -> bool:
    """Whether a whole scene model lies in a folder."""
    try:
        SceneModel.load(folder)
    except UserError:
        return False
    return True


def frames_digest(*scenes: Scene) -> str:
    """A hash of which image is in which split and where it was taken: what a resumed run must share with its
    beginning. Poses count to a nanometre, for another machine's rounding is no other label."""
    listed = hashlib.sha256()
    for scene in scenes:
        mount = scene.T_pose_camera
        listed_images = [image for image in scene.images if image.split != LEFT_OUT]
        for pose, name in ((mount, "T_pose_camera"), *((i.pose, f"{i.split},{i.name}") for i in listed_images)):
            numbers = (
                []
                if pose is None
                else [f"{round(x, 9) + 0.0:.9f}" for x in (*pose.position.tolist(), *pose.orientation.tolist())]
            )
            listed.update(f"{name},{','.join(numbers)}\n".encode())
    return listed.hexdigest()[:16]
