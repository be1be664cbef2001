"""What a training leaves behind: the best scene model so far, and what each stage reached."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from tqdm import tqdm

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import stack
from transposenet_core.mapped_scene import HeldOutError, MappedScene
from transposenet_core.scene import Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.checkpoint import Progress
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.curves import Curves
from transposenet_core.training.network import model_options, preprocessing_of
from transposenet_core.training.scene_validation import SceneJudges
from transposenet_core.training.stages import Stage
from transposenet_core.training.validation import Judge, Validation

THINNED_POSES = 2000


@dataclass(eq=False)
class Outcome:
    """The folder of a run. Only the leading process writes."""

    out: Path
    scene: Scene
    config: TrainConfig
    judge: Judge | SceneJudges
    provenance: dict
    further: Sequence[Scene] = ()

    def consider(
        self, network: nn.Module, stage: Stage, progress: Progress, epoch: int, curves: Curves, name: str = ""
    ) -> None:
        """Keep the network as the scene model where the held-out frames like it better than any before.

        `name` is what it goes by in the report, the stage where it is left out.
        """
        name = name or stage.learns
        validation = self.judge(network)
        figures = validation.summary
        curves.write(
            progress.epochs_before + epoch,
            name,
            val_median_m=figures.median_m,
            val_median_deg=figures.median_deg,
            val_score=validation.score,
            **({"val_scene_accuracy": validation.scene_accuracy} if self.further else {}),
        )
        tqdm.write(
            f"{name}, epoch {epoch}: {self.judge.source}: median {figures.median_m:.3f} m {figures.median_deg:.2f} deg"
            + (f", the scene of {validation.scene_accuracy:.1%} was found" if self.further else "")
        )
        if validation.score < progress.best_score:
            progress.best_score = validation.score
            progress.best[name] = {"epoch": epoch, "m": figures.median_m, "deg": figures.median_deg}
            model = make_scene_model(self.scene, self.config, stage, network, validation, self.further)
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
        lines, before = [f"scene model: {self.out}"], None
        for name in progress.stages:
            reached = progress.best.get(name)
            if reached is None:
                lines.append(f"  {name}: gained nothing on {self.judge.source}")
                continue
            figures, gain = f"median {reached['m']:.4f} m {reached['deg']:.3f} deg", ""
            if before is not None:
                gain = f", {before['m'] - reached['m']:+.4f} m and {before['deg'] - reached['deg']:+.3f} deg better"
            lines.append(f"  {name}: {figures} at epoch {reached['epoch']}{gain}")
            before = reached
        return "\n".join(lines)


def make_scene_model(
    scene: Scene,
    config: TrainConfig,
    stage: Stage,
    network: nn.Module,
    validation: Validation,
    further: Sequence[Scene] = (),
) -> SceneModel:
    """Everything a robot needs to run this network in this scene, or in it and further ones."""
    judged = zip((scene, *further), validation.scenes or (validation,), strict=True)
    first, *others = (mapped_scene(each, its.held_out_error) for each, its in judged)
    return SceneModel(
        **vars(first),
        architecture=config.model.name,
        options=model_options(config, stage, scene.intrinsics, 1 + len(further)),
        preprocessing=preprocessing_of(config),
        network=network,
        provenance={"validation": _figures(scene, further, validation), "config": config.to_dict()},
        further_scenes=tuple(others),
    )


def mapped_scene(scene: Scene, held_out_error: HeldOutError) -> MappedScene:
    """What a scene model keeps of a scene, its training poses thinned."""
    training = scene.select("train")
    step = -(-len(training) // THINNED_POSES)
    positions_N3, orientations_N4 = stack([image.pose for image in training[::step]])
    poses = positions_N3, orientations_N4
    return MappedScene(scene.name, scene.map_frame, held_out_error, scene.intrinsics, *poses, scene.T_pose_camera)


def _figures(scene: Scene, further: Sequence[Scene], validation: Validation) -> dict:
    figures = validation.summary.to_dict()
    if further:
        names = [each.name for each in (scene, *further)]
        figures["scene_accuracy"] = validation.scene_accuracy
        figures["scenes"] = {n: v.summary.to_dict() for n, v in zip(names, validation.scenes, strict=True)}
    return figures


def is_usable(folder: Path) -> bool:
    """Whether a whole scene model lies in a folder."""
    try:
        SceneModel.load(folder)
    except UserError:
        return False
    return True


def frames_digest(*scenes: Scene) -> str:
    """A hash of which picture is in which split and where it was taken: what a resumed run must share with its
    beginning. Poses count to a nanometre, for another machine's rounding is no other label."""
    listed = hashlib.sha256()
    for scene in scenes:
        mount = scene.T_pose_camera
        for pose, name in ((mount, "T_pose_camera"), *((i.pose, f"{i.split},{i.name}") for i in scene.images)):
            numbers = (
                []
                if pose is None
                else [f"{round(x, 9) + 0.0:.9f}" for x in (*pose.position.tolist(), *pose.orientation.tolist())]
            )
            listed.update(f"{name},{','.join(numbers)}\n".encode())
    return listed.hexdigest()[:16]
