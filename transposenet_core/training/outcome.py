"""The results of a training: the best scene model so far, and the errors of each stage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from transposenet_core.errors import TrainingDivergedError, UserError
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import LEFT_OUT, Scene, common_units, unit_name
from transposenet_core.scene_model import MappedScene, SceneModel
from transposenet_core.training.checkpoint import Progress
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.curves import Curves
from transposenet_core.training.keyframes import SceneKeyframes
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
    keyframes: Sequence[SceneKeyframes | None] = ()

    def consider(
        self, network: nn.Module, stage: Stage, progress: Progress, epoch: int, curves: Curves, name: str = ""
    ) -> None:
        """Save the network as the scene model if its validation score is the best so far.

        `name` is its name in the report, by default that of the stage.
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
        ProgressBar.write(
            f"{name}, epoch {epoch}: {self.validators.source}: "
            f"median {figures.median_m:.3f} {unit} {figures.median_deg:.2f} deg"
            + (f", scene found in {validation.scene_accuracy:.1%} of the frames" if several else "")
        )
        if validation.score < progress.best_score:
            progress.best_score = validation.score
            progress.best[name] = {"epoch": epoch, "m": figures.median_m, "deg": figures.median_deg}
            model = make_scene_model(self.scenes, self.config, stage, network, validation)
            for mapped, made in zip(model.scenes, self.keyframes, strict=False):  # none until they are made
                mapped.keyframes, mapped.refinement = (made.file, made.error) if made else (None, None)
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

    def measure_bfloat16(self) -> None:
        """Add to the saved scene model how much its poses change in bfloat16: whether back ends may use it."""
        model = SceneModel.load(self.out)
        if not model.network.converts:
            return
        try:
            model.bfloat16 = self.validators.in_bfloat16(model.network)
        except TrainingDivergedError:  # not finite in bfloat16, so no back end may use it
            return
        model.save(self.out, self.config.half_precision_weights)

    def report(self, progress: Progress) -> str:
        """One line per stage: its best errors on the held-out frames, or that it brought no improvement."""
        lines, before, unit = [f"scene model: {self.out}"], None, unit_name(common_units(self.scenes))
        for name in progress.stages:
            reached = progress.best.get(name)
            if reached is None:
                lines.append(f"  {name}: no improvement on {self.validators.source}")
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
    """The scene model of this network in these scenes."""
    return SceneModel(
        architecture=config.model.name,
        options=model_options(config, stage, scenes[0].intrinsics, len(scenes)),
        preprocessing=preprocessing_of(config),
        network=network,
        scenes=mapped_scenes(scenes, validation),
        provenance={"validation": validation.to_dict([s.name for s in scenes]), "config": config.to_dict()},
    )


def mapped_scenes(scenes: Sequence[Scene], validation: Validation) -> tuple[MappedScene, ...]:
    """The scenes of a scene model."""
    validated = zip(scenes, validation.scenes, strict=True)
    return tuple(MappedScene.of(scene, its.held_out_error, its.calibration) for scene, its in validated)


def is_usable(folder: Path) -> bool:
    """Whether the folder contains a complete scene model."""
    try:
        SceneModel.load(folder)
    except UserError:
        return False
    return True


def frames_digest(*scenes: Scene) -> str:
    """A hash of the images, their splits and poses, which must be the same for a resumed run. Poses are rounded to a
    nanometre, so that rounding errors of another machine do not count as other labels."""
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
            listed.update(f"{name},{','.join(numbers)}\n".encode(errors="surrogatepass"))
    return listed.hexdigest()[:16]
