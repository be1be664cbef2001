"""A few inputs with the poses that the network returns for them, which another way of running it has to reproduce."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from transposenet_core import checked
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.preprocessing import normalise
from transposenet_core.tensor_header import Wanted

MOST_INPUTS, FRAMES = 16, 3  # allowed in a file; stored by training


@dataclass(frozen=True, eq=False)
class Parity:
    """Windows (P, 3, h, w) uint8 RGB as the network sees them before `preprocessing.normalise`, and the output of its
    stored weights on a CPU in float32: positions (P, 3) and orientations (P, 4), float32."""

    image_P3HW: torch.Tensor
    position_P3: torch.Tensor
    orientation_P4: torch.Tensor

    def __post_init__(self) -> None:
        count = len(self.image_P3HW)
        shapes = tuple(self.position_P3.shape), tuple(self.orientation_P4.shape)
        if self.image_P3HW.dtype != torch.uint8 or self.image_P3HW.dim() != 4 or shapes != ((count, 3), (count, 4)):
            raise ValueError(f"parity: {self.image_P3HW.dtype} {tuple(self.image_P3HW.shape)} with outputs {shapes}")
        if not 1 <= count <= MOST_INPUTS:
            raise ValueError(f"parity: {count} inputs, 1 to {MOST_INPUTS} are allowed")

    @classmethod
    def of(cls, network: nn.Module, state: dict[str, torch.Tensor], image_P3HW: torch.Tensor) -> Parity:
        """The output of a copy of the network with the tensors `state`; the network itself is not changed."""
        twin: Any = copy.deepcopy(network)
        twin = twin.to("cpu", memory_format=torch.channels_last)
        twin.load_state_dict(in_single_precision(state))
        return cls(image_P3HW.cpu(), *_outputs(twin.eval(), image_P3HW.cpu()))

    def difference(self, run: Callable[[torch.Tensor], dict[str, torch.Tensor]]) -> tuple[float, float]:
        """The largest difference of `run`, a network or an equivalent, from the expected poses: scene units and
        degrees. NaN where an output is not finite."""
        position_P3, orientation_P4 = _outputs(run, self.image_P3HW)
        away = torch.linalg.vector_norm(position_P3 - self.position_P3, dim=-1).max().item()
        degrees = rotation_angle_deg(orientation_P4.numpy(), self.orientation_P4.numpy()).max()
        return away, float(degrees)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"image_P3HW": self.image_P3HW, "position_P3": self.position_P3, "orientation_P4": self.orientation_P4}

    @staticmethod
    def shapes(height: int, width: int) -> dict[str, Wanted]:
        """The tensors in a file, of a network that sees windows of this size."""
        count = range(1, MOST_INPUTS + 1)
        poses = {"position_P3": Wanted(("F32",), (count, 3)), "orientation_P4": Wanted(("F32",), (count, 4))}
        return {"image_P3HW": Wanted(("U8",), (count, 3, height, width))} | poses

    @classmethod
    def read(cls, tensors: dict[str, torch.Tensor]) -> Parity:
        """The inverse of `tensors`. KeyError or ValueError where something is missing or out of bounds."""
        found = cls(tensors["image_P3HW"], tensors["position_P3"].float(), tensors["orientation_P4"].float())
        finite = torch.isfinite(found.position_P3).all(dim=1) & torch.isfinite(found.orientation_P4).all(dim=1)
        checked.poses("parity", found.position_P3[finite].numpy(), found.orientation_P4[finite].numpy())
        return found


def in_single_precision(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state whose floating-point numbers, of which a file may hold half the digits, are float32."""
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


@torch.inference_mode()
def _outputs(
    run: Callable[[torch.Tensor], dict[str, torch.Tensor]], image_P3HW: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Position and orientation, one input after the other, as on a robot."""
    outputs = [run(normalise(image_3HW[None])) for image_3HW in image_P3HW]
    position_P3, orientation_P4 = (
        torch.cat([output[name].float().cpu() for output in outputs]) for name in ("position", "orientation")
    )
    return position_P3, orientation_P4


def spread(count: int, most: int = FRAMES) -> np.ndarray:
    """At most `most` places spread over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
