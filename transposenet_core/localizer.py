"""The public face of inference: one picture in, one estimate out. Node, evaluator and notebooks all call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from transposenet_core.errors import UserError
from transposenet_core.estimate import LOST_VARIANCE, Estimate
from transposenet_core.pose import Pose
from transposenet_core.scene_model import SceneModel

DEVICES = ("auto", "cpu", "cuda")
BACKENDS = ("torch",)


class Localizer:
    """A scene model ready to run. UserError where the model, the device or the back end is not to be had."""

    def __init__(self, path: str | Path, device: str = "auto", backend: str = "torch") -> None:
        if backend not in BACKENDS:
            raise UserError(f"backend '{backend}' is unknown, allowed are: {', '.join(BACKENDS)}")
        self.device = choose_device(device)
        self.scene_model = SceneModel.load(path)
        network: Any = self.scene_model.network  # mypy's stubs know no memory_format here
        self._network = network.to(self.device, memory_format=torch.channels_last)
        self._covariance_66 = self.scene_model.held_out_error.covariance_66()

    def warm_up(self, frames: int = 3) -> None:
        """Run the network on grey pictures, so that the first real frame costs no more than the thousandth."""
        height, width = self.scene_model.preprocessing.image_size
        for _ in range(frames):
            self.localize(np.full((height, width, 3), 128, np.uint8))

    @torch.inference_mode()
    def localize(self, image_HW3: np.ndarray, with_attention: bool = False) -> Estimate:
        """``T_map_camera`` of an (H, W, 3) uint8 RGB picture. ValueError for an array that is no such picture.

        ``with_attention`` adds the attention maps of both encoders, which cost a little, and changes no pose.
        """
        image_13HW = self.scene_model.preprocessing(image_HW3).to(self.device)
        output = self._network(image_13HW, with_attention=True) if with_attention else self._network(image_13HW)
        position = output["position"][0].double().cpu().numpy()
        orientation = output["orientation"][0].double().cpu().numpy()
        try:
            pose, covariance_66, reason = Pose(position, orientation), self._covariance_66.copy(), ""
        except ValueError:
            pose, covariance_66, reason = None, LOST_VARIANCE * np.eye(6), "non_finite_output"
        scene, map_frame = self.scene_model.name, self.scene_model.map_frame
        return Estimate(pose, covariance_66, not reason, reason, scene, map_frame, attention_maps(output))


def attention_maps(output: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The attention maps (H_m, W_m) among a network's outputs for one picture, by the name of their encoder."""
    suffix = "_attention"
    return {k.removesuffix(suffix): value[0].cpu().numpy() for k, value in output.items() if k.endswith(suffix)}


def choose_device(device: str) -> torch.device:
    """`auto` is CUDA where torch finds it, else the CPU. UserError for `cuda` where there is none."""
    if device not in DEVICES:
        raise UserError(f"device '{device}' is unknown, allowed are: {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda' is asked for, but torch finds no CUDA device; use device 'auto' or 'cpu'")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
