"""Training of a camera pose auto-encoder: a student that learns to predict its teacher's latents from poses.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import nn

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import TrainingDivergedError, UserError
from transposenet_core.models import build_model, names_where
from transposenet_core.models.pose_autoencoder import PoseAutoencoder
from transposenet_core.preprocessing import normalise
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import Scene, common_units, unit_name
from transposenet_core.scene_model import DESCRIPTION, SceneModel
from transposenet_core.training.autoencoder.decoder import learn_decoder, small_images
from transposenet_core.training.autoencoder.refinement_choice import choose_refinement
from transposenet_core.training.batches import batches
from transposenet_core.training.checkpoint import Checkpoint
from transposenet_core.training.config import ImageConfig, TrainConfig, leaves
from transposenet_core.training.curves import Curves
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.data.scene_pixels import SeenPoses
from transposenet_core.training.distributed import World
from transposenet_core.training.losses.labels import Labels
from transposenet_core.training.losses.registry import pose_loss
from transposenet_core.training.network import make_repeatable, model_options
from transposenet_core.training.optimization import rate_factor, set_rate
from transposenet_core.training.outcome import make_scene_model
from transposenet_core.training.scene_data import load_scene_data
from transposenet_core.training.scene_validation import scene_validators_of
from transposenet_core.training.stages import plan

LEAST_SCALE_M = 0.1  # smallest scale: a track within less counts as one place
# The configuration keys that the training of a student uses: whole groups or single keys.
READ = {
    *("model", "teacher", "decoder", "schedule", "epochs", "batch_size", "seed", "device", "deterministic"),
    *("validate_every", "hold_out", "held_out_error", "half_precision_weights", "cache_dir", "workers"),
    *("optimizer.learning_rate", "optimizer.weight_decay", "optimizer.eps"),
    *("loss.rotation", "loss.s_position", "loss.s_orientation", "loss.beta"),
}


class AutoencoderLoss(nn.Module):
    """Mean squared error of both latents, and the pose loss of the poses that the teacher's heads return for them."""

    def __init__(self, config: TrainConfig, network: PoseAutoencoder) -> None:
        super().__init__()
        self.pose = pose_loss(config.loss, network.teacher)

    def forward(
        self, network: PoseAutoencoder, target: dict[str, torch.Tensor], position_B3: torch.Tensor, q_B4: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``loss``, and the means of its terms: ``latents``, and Eq. 3 and 4 of TransPoseNet."""
        latents = network.latents(position_B3, q_B4, target.get("scene"))
        both = [F.mse_loss(latents[name], target[name]) for name in ("position_latent", "orientation_latent")]
        regress: Any = network.teacher.regress  # frozen, and the gradient goes through it
        output = regress(latents)
        # A teacher of several scenes returns quaternions with the sign of its cluster centres, on which Eq. 4 depends.
        backwards_B1 = (output["orientation"] * q_B4).sum(dim=-1, keepdim=True) < 0
        scene_B = target.get("scene", torch.zeros(len(q_B4), dtype=torch.int64, device=q_B4.device))
        terms = self.pose(output, Labels(position_B3, torch.where(backwards_B1, -q_B4, q_B4), None, scene_B))
        return {**terms, "loss": terms["loss"] + sum(both), "latents": sum(both)}


class AutoencoderTraining:
    """One run: `out` becomes the scene model: teacher, auto-encoder, training poses, and optionally a decoder. It takes
    seconds to minutes, so there is no checkpoint and nothing to resume; after Ctrl-C `out` holds what was complete by
    then, if anything.

    Raises UserError for what a user can fix, TrainingDivergedError if the loss is not finite.
    """

    def __init__(
        self,
        config: TrainConfig,
        scenes: Sequence[Scene],
        out: Path,
        provenance: dict,
        world: World,
        resumed: Checkpoint | None = None,
    ) -> None:
        make_repeatable(config)
        if world.size > 1:
            raise UserError(f"an auto-encoder is trained by one process, found {world.size}; start one")
        if (out / DESCRIPTION).exists():
            raise UserError(f"{out} contains a scene model already; choose another --out")
        check_keys(config)
        teacher = load_teacher(config.teacher, scenes)
        self.out, self.provenance, self.device = out, provenance, world.device
        scenes = [
            replace(each, T_pose_camera=its.T_pose_camera) for each, its in zip(scenes, teacher.scenes, strict=True)
        ]
        self.config, self.world = configured(config, teacher, scenes), world
        self.unit = unit_name(common_units(scenes))
        self.preprocessing = teacher.preprocessing
        self.data = [load_scene_data(each, self.config, self.preprocessing, world, n) for n, each in enumerate(scenes)]
        self.validators = scene_validators_of(self.data)
        (self.stage,) = plan(self.config)
        torch.manual_seed(config.seed)
        try:
            network: Any = build_model("pose_autoencoder", **model_options(self.config, self.stage))
        except (ValueError, TypeError) as error:
            raise UserError(f"model 'pose_autoencoder' with options {config.model.options}: {error}") from None
        network.teacher.load_state_dict(teacher.network.state_dict())
        self.network: PoseAutoencoder = network.to(self.device)

    def run(self) -> None:
        """Train the auto-encoder, then the decoder."""
        with write_atomically(self.out / "config.yaml") as path:
            path.write_text(yaml.safe_dump(self.config.to_dict(), sort_keys=False))
        learnt, validated = [each.pixels for each in self.data], [each.validator.pixels for each in self.data]
        known, ground_truth_poses = SeenPoses.of(learnt), SeenPoses.of(validated)
        print(f"{len(known.scene_N)} training frames, validated on {self.validators.source}, {self.device}", flush=True)
        network = self.network
        network.positions_N3.copy_(known.position_N3)
        network.orientations_N4.copy_(known.orientation_N4)
        network.scenes_N.copy_(known.scene_N)
        network.eval()
        curves = Curves(self.out)
        try:
            targets = self._latents_of(learnt)
            held_out = self._latents_of(validated) if self._holds_out(any) else targets
            stopped: KeyboardInterrupt | None = None
            try:
                self._learn(known, targets, ground_truth_poses, held_out, curves)
            except KeyboardInterrupt as stop:  # what it has learnt so far is refined and saved all the same
                stopped = stop
            self._refine(
                held_out if len(validated) == 1 else self._latents_of(validated, scene_given=False), ground_truth_poses
            )
            self.validation = self.validators(network)
            self._save()
            if stopped:
                raise stopped
            if self.config.decoder.epochs:
                small = [small_images(each, self.preprocessing, self.device) for each in (learnt, validated)]
                learn_decoder(network, small[0], known, small[1], ground_truth_poses, self.config, self.world, curves)
                self.config.model.options["decoder"] = True
                self._save()
        finally:
            curves.close()
        figures = self.validation.summary
        median = f"median {figures.median_m:.4f} {self.unit} {figures.median_deg:.3f} deg"
        print(f"scene model: {self.out}\n  {self.validators.source}: {median}")

    def _learn(
        self,
        known: SeenPoses,
        targets: dict[str, torch.Tensor],
        ground_truth_poses: SeenPoses,
        held_out: dict[str, torch.Tensor],
        curves: Curves,
    ) -> None:
        """`targets` and `held_out` are the teacher's latents of the training and of the validation images."""
        config, stage, network = self.config, self.stage, self.network
        loss = AutoencoderLoss(config, network).to(self.device)
        learnt = [p for p in network.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": learnt, "weight_decay": stage.weight_decay}]
        groups.append({"params": list(loss.parameters())})
        optimizer = torch.optim.Adam(groups, lr=stage.learning_rate, eps=config.optimizer.eps)
        for epoch in ProgressBar(range(stage.epochs), desc="auto-encoder", unit="epoch", leave=False):
            set_rate(optimizer, stage.learning_rate * rate_factor(epoch, stage.epochs, stage.schedule))
            for batch in batches(known.counts, config.batch_size, config.seed, epoch, self.world):
                index_B = batch.index_B.to(self.device)
                target = {name: value[index_B] for name, value in targets.items()}
                optimizer.zero_grad(set_to_none=True)
                terms = loss(network, target, known.position_N3[index_B], known.orientation_N4[index_B])
                terms["loss"].backward()
                optimizer.step()
            if not torch.isfinite(terms["loss"]):
                raise TrainingDivergedError(
                    f"the loss of epoch {epoch + 1} is not finite; start again with a lower optimizer.learning_rate"
                )
            if (epoch + 1) % config.validate_every == 0 or epoch + 1 == stage.epochs:
                with torch.no_grad():
                    terms = loss(network, targets, known.position_N3, known.orientation_N4)
                    val = loss(network, held_out, ground_truth_poses.position_N3, ground_truth_poses.orientation_N4)
                figures = {f"train_{k}": v.item() for k, v in terms.items()} | {
                    f"val_{k}": v.item() for k, v in val.items()
                }
                curves.write(epoch + 1, "auto-encoder", **figures)
        print(
            "poses through the auto-encoder and the teacher's heads: mean error "
            f"{terms['position']:.3f} {self.unit} on training poses, "
            f"{val['position']:.3f} {self.unit} on the validation ones",
            flush=True,
        )

    def _refine(self, latents: dict[str, torch.Tensor], ground_truth_poses: SeenPoses) -> None:
        """Choose how positions are refined, if it is not configured, on the latents of the validation images in the
        scenes that inference would recognise."""
        self.network.eval()  # with its trained weights
        choice = choose_refinement(
            self.network, latents, ground_truth_poses.position_N3, self._holds_out(all), self.unit
        )
        self.network.neighbours, self.network.ridge = choice.neighbours, choice.ridge
        self.config.model.options |= {"neighbours": choice.neighbours, "ridge": choice.ridge}
        print(choice.sentence, flush=True)

    def _holds_out(self, quantity: Callable[[Iterable[bool]], bool]) -> bool:
        """Whether `any` or `all` scenes are validated on held-out frames."""
        return quantity(each.validator.pixels is not each.pixels for each in self.data)

    @torch.no_grad()
    def _latents_of(self, scenes: list[PosedPixels], scene_given: bool = True) -> dict[str, torch.Tensor]:
        """The teacher's latents of the images of all scenes, preprocessed as at inference."""
        encode: Any = self.network.teacher.encode
        parts = []
        for number, pixels in enumerate(scenes):
            for image_B3HW in pixels.image_N3HW.split(32):
                several = self.network.several and scene_given
                scene_inputs = (
                    {"scene_B": torch.full((len(image_B3HW),), number, device=self.device)} if several else {}
                )
                parts.append(encode(normalise(self.preprocessing.crop(image_B3HW).to(self.device)), **scene_inputs))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _save(self) -> None:
        scenes = [each.scene for each in self.data]
        model = make_scene_model(scenes, self.config, self.stage, self.network, self.validation)
        model.preprocessing, model.parity_image_P3HW = self.preprocessing, self.validators.parity_images()
        model.provenance = self.provenance | model.provenance
        model.save(self.out, self.config.half_precision_weights)


def check_keys(config: TrainConfig) -> None:
    """UserError for a key that is not used here and not at its default."""
    for (name, value, _), (_, default, _) in zip(leaves(config), leaves(TrainConfig()), strict=True):
        if READ.isdisjoint((name, name.split(".")[0])) and value != default:
            raise UserError(
                f"{name} is {value!r}, but the training of an auto-encoder, by Adam on its teacher's latents, does not "
                "use it; leave it out"
            )


def load_teacher(path: str, scenes: Sequence[Scene]) -> SceneModel:
    """The scene model at `path`. UserError if it has no latents, has another number of scenes, or was trained on
    frames that are not training frames here: they may be those on which the auto-encoder is validated."""
    if not path:
        raise UserError("teacher is empty; set teacher=FOLDER to the trained scene model whose latents are learnt")
    teacher = SceneModel.load(path)
    if not teacher.network.HAS_LATENTS:
        able = ", ".join(names_where(lambda model: model.HAS_LATENTS))
        raise UserError(
            f"{path}: a scene model of '{teacher.architecture}' has no latents of position and orientation; use a "
            f"teacher of {able}"
        )
    if len(scenes) != len(teacher.scenes):
        raise UserError(
            f"{path}: a scene model of {teacher.title}, but --data is given {len(scenes)} times; give it once for each "
            "scene, in the order of the teacher's training"
        )
    for scene, its in zip(scenes, teacher.scenes, strict=True):
        known = {image.name for image in scene.select("train")}
        strange = sum(name not in known for name in its.frames.names_of("train"))
        if strange:
            raise UserError(
                f"{path}: {strange} of the {its.frames.counts()['train']} frames it was trained on are not training "
                f"frames of '{scene.name}' here; give --data, --split and hold_out as in its training"
            )
    return teacher


def configured(config: TrainConfig, teacher: SceneModel, scenes: Sequence[Scene]) -> TrainConfig:
    """The configuration with the teacher's image size and the auto-encoder's options for teacher and scenes."""
    centres, scales, poses = [], [], 0
    for scene in scenes:
        seen = scene.of_the_camera()  # the poses of the camera, as for the teacher's latents
        positions_N3 = np.array([image.pose.position for image in seen.select("train")])
        centre_3 = np.median(positions_N3, axis=0)
        # Robust: with the extremes a single outlier in a label file would compress all other positions.
        far = float(np.quantile(np.linalg.norm(positions_N3 - centre_3, axis=1), 0.95))
        centres.append(centre_3.tolist())
        scales.append(max(far, LEAST_SCALE_M))
        poses += len(positions_N3)
    options = {
        "teacher": teacher.architecture,
        "teacher_options": teacher.options,
        "centres": centres,
        "scales": scales,
        "poses": poses,
        "decoder": False,
    }
    prepared = teacher.preprocessing
    image = ImageConfig(prepared.smaller_edge, *prepared.image_size, prepared.crops)
    model = replace(config.model, options={**config.model.options, **options})
    return replace(config, model=model, image=image, heads=replace(config.heads, epochs=0))
