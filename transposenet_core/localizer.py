"""The public interface of inference: one image in, one estimate out. Node, evaluator and notebooks all call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from transposenet_core.backends import choose
from transposenet_core.errors import UserError
from transposenet_core.estimate import LOST_VARIANCE, NON_FINITE_OUTPUT, OUT_OF_SCENE, Estimate
from transposenet_core.geometry.covariance import position_sigma, scaled
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.pose_averaging import output_of_images
from transposenet_core.refinement_stage import REFINE, refinement_of
from transposenet_core.scene import unit_name
from transposenet_core.scene_model import KEPT, Calibration, SceneModel

__all__ = ["DEVICES", "REFINE", "Localizer", "choose_device"]

DEVICES = ("auto", "cpu", "cuda")


class Localizer:
    """A scene model ready to run. UserError where the model, the device or the back end is not available.

    ``backend`` (one of `BACKENDS`) runs the network; ``refused_backends`` has a sentence for each that `auto` prefers
    and that cannot be had here. ``refine`` (one of `REFINE`): whether poses are refined against the keyframes of the
    scene model; `auto`, where it has some. Several threads may use one localizer.
    """

    def __init__(self, path: str | Path, device: str = "auto", backend: str = "auto", refine: str = "auto") -> None:
        self.device = choose_device(device, backend)
        self.scene_model = SceneModel.load(path)
        self._refinement = [refinement_of(scene, refine, Path(path)) for scene in self.scene_model.scenes]
        network: Any = self.scene_model.network  # mypy's stubs lack memory_format here
        self._network = network.to(self.device, memory_format=torch.channels_last)
        self._scenes = self.scene_model.scenes
        chosen = choose(self.scene_model, Path(path), self.device, backend)
        self.backend, self.refused_backends = chosen.backend, chosen.refused

    @property
    def backend_name(self) -> str:
        """Back end and precision."""
        return f"{self.backend.name} {self.backend.precision}"

    @property
    def refines(self) -> bool:
        """Whether poses of any of its scenes are refined."""
        return any(stage is not None for stage in self._refinement)

    def warm_up(self, frames: int = 3) -> None:
        """Run the network on grey images, so that the first real frame is as fast as the later ones."""
        height, width = self.scene_model.preprocessing.image_size
        if (camera := self.scene_model.camera) is not None:  # of this shape alone are poses refined
            height, width = camera.height, camera.width
        for _ in range(frames):
            self.localize(np.full((height, width, 3), 128, np.uint8))

    @torch.inference_mode()
    def localize(self, image_HW3: np.ndarray, with_attention: bool = False, same_camera: bool = True) -> Estimate:
        """``T_map_camera`` of an (H, W, 3) uint8 RGB image. ValueError for any other array.

        ``with_attention`` adds the attention maps of both encoders, for which torch runs the network, and changes no
        pose by more than back ends differ; a model without attention maps, or with several windows, adds none. The
        covariance is the network's own for this frame, scaled to its errors on held-out frames, where the network
        returns a ``covariance`` and the scene model has its calibration; otherwise the error on those frames, the same
        for all. A frame whose covariance is larger than those of the held-out frames is not localized:
        ``out_of_scene``. A model of several scenes selects one; pose, map frame and covariance are that scene's. Where
        its labels are of another body on the camera's mount (``T_pose_camera``), so is the pose. A pose that keyframes
        confirm is the refined one, with a covariance of its own, whatever the network states of the frame. Images
        that are not of the training's camera (``same_camera``) are not refined.
        """
        image_N3HW = self.scene_model.preprocessing(image_HW3).to(self.device)
        ran = self.backend_name
        if with_attention and self._network.has_attention:
            image_N3HW = image_N3HW.contiguous(memory_format=torch.channels_last)
            output, ran = output_of_images(self._network, image_N3HW, images=1, with_attention=True), "torch float32"
        else:
            output = output_of_images(self.backend, image_N3HW, images=1)
        position = output["position"][0].double().cpu().numpy()
        orientation = output["orientation"][0].double().cpu().numpy()
        number = int(output["scene"][0]) if "scene" in output else 0
        scene, several = self._scenes[number], len(self._scenes) > 1
        probability = float(output["scene_log_probability"][0, number].exp()) if several else None
        ground = f"the scene's error on {scene.held_out_error.source}, the same for every frame"
        explanation = ""
        try:
            pose, covariance_66, reason = Pose(position, orientation), scene.held_out_error.covariance_66(), ""
            calibration = scene.calibration.get(self.scene_model.architecture)
            if "covariance" in output and calibration:
                ground = f"the network's covariance of this frame, scaled to its error on {scene.held_out_error.source}"
                covariance_66 = scaled(_covariance_of(output), calibration.covariance_scale)
                held_out, unit = scene.held_out_error.source, unit_name(scene.units)
                reason, explanation = abstention(covariance_66, calibration, held_out, unit)
        except ValueError:
            pose, covariance_66, reason = None, LOST_VARIANCE * np.eye(6), NON_FINITE_OUTPUT
        estimate = Estimate(
            pose=pose,
            covariance_66=covariance_66,
            localized=not reason,
            reason=reason,
            scene=scene.name,
            map_frame=scene.map_frame,
            attention=attention_maps(output),
            covariance_source=ground,
            scene_probability=probability,
            explanation=explanation,
            time_offset_s=scene.time_offset_s,
            units=scene.units,
            backend=ran,
        )
        if (stage := self._refinement[number]) is not None and pose is not None:
            estimate = stage.refined(estimate, image_HW3, candidates_of(output), same_camera)
        return estimate if scene.T_pose_camera is None else estimate.of_the_labelled(scene.T_pose_camera)


def abstention(covariance_66: np.ndarray, calibration: Calibration, held_out: str, unit: str = "m") -> tuple[str, str]:
    """Reason and explanation where a frame's own covariance is larger than those of the `held_out` frames of the scene,
    else two ''. `unit` is that of positions."""
    largest, sigma = calibration.largest_sigma_m, float(position_sigma(covariance_66))
    if largest is None or sigma <= largest:
        return "", ""
    known = f"{KEPT:.0%} of {held_out} have at most {largest:.3f} {unit}"
    return OUT_OF_SCENE, f"one sigma of its position is {sigma:.3f} {unit}, {known}; it may show another place"


def _covariance_of(output: dict[str, torch.Tensor]) -> np.ndarray:
    """The network's own (6, 6). ValueError where it is not finite."""
    covariance_66 = output["covariance"][0].double().cpu().numpy()
    if not np.isfinite(covariance_66).all():
        raise ValueError("the network's covariance is not finite")
    return covariance_66


def attention_maps(output: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The attention maps (H_m, W_m) among a network's outputs for one image, by the name of their encoder."""
    suffix = "_attention"
    return {k.removesuffix(suffix): value[0].cpu().numpy() for k, value in output.items() if k.endswith(suffix)}


def candidates_of(output: dict[str, torch.Tensor]) -> list[Pose]:
    """The poses ``T_map_camera`` that an output for one image names as candidates, best first; often none."""
    if "candidate_position" not in output:
        return []
    positions_C3, orientations_C4 = (
        output[name][0].double().cpu().numpy() for name in ("candidate_position", "candidate_orientation")
    )
    return [Pose(position, orientation) for position, orientation in zip(positions_C3, orientations_C4, strict=True)]


def choose_device(device: str, backend: str = "auto") -> torch.device:
    """`auto` is CUDA where torch finds it and the back end can use it, else the CPU. UserError for `cuda` where there
    is none."""
    if device not in DEVICES:
        raise UserError(f"device '{device}' is unknown, allowed are: {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda' is requested, but torch finds no CUDA device; use device 'auto' or 'cpu'")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() and backend in ("auto", "torch") else "cpu"
    return torch.device(device)
