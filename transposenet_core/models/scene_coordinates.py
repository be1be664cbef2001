"""Scene coordinates: every cell of the image predicts the map point that it sees; together they give the pose.

TransPoseNet's parts (EfficientNet's end points, a Transformer encoder over the cells: Shavit, Ferens, Keller, section
3), with another output: instead of one token that regresses a pose, each cell regresses its point in the map (as in
Shotton et al., "Scene coordinate regression forests", 2013), the depth of that point, and the uncertainty of both. The
pose that fits them best is computed in a few fixed steps (`pose_from_points`): one network pass, no matching.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.geometry.contraction import Contraction
from transposenet_core.geometry.pose_from_points import aligned, refined
from transposenet_core.geometry.pose_of_points import pose_of_points
from transposenet_core.geometry.quaternions import rotated
from transposenet_core.models import allowed
from transposenet_core.models.allowed import Check, check_cells, one_of, whole
from transposenet_core.models.backbone import backbone_names, build_backbone, map_size
from transposenet_core.models.camera_rays import cell_centres, rays
from transposenet_core.models.contract import PoseModel
from transposenet_core.models.layers import EncoderLayer
from transposenet_core.models.one_image_cells import one_image_cells

UNITS = 2.0  # the typical depth, in the units that the network calculates in: metres in a room
REACH = 1.5  # typical depths from the scene's centre up to which space is not contracted: most of a room
LEAST_INFORMATION = 1e-4  # 100 units, 100 rad: the information matrix stays invertible if the cells have none
LOG_SCALES = (-5.0, 2.0)  # logarithms of units: 7 mm to 7 m in a room


class SceneCoordinates(nn.Module, PoseModel):
    """A point of the map, a depth and their scales for each cell, and the pose from them.

    Everything is relative to the scene's typical depth, so a table top, a room and a street are learnt alike. Points
    and depths beyond `REACH` times that depth are regressed in contracted space (`Contraction`): their errors are those
    of the bearing and the inverse distance. So for the pose a far point is uncertain by metres, and by little in its
    bearing: it decides the rotation and leaves the position to the near ones.

    The cells are those of the finer of two maps (``detail_level``); the Transformer works on the coarser (``level``).
    The position encoding of a token comes from the ray of its cell, not from its index. Depth images are needed for
    training only.
    """

    LOSS: ClassVar[str] = "scene_coordinates"
    NEEDS_DEPTH: ClassVar[bool] = True
    TAKES_CAMERA: ClassVar[bool] = True
    MEASURES_DEPTH: ClassVar[bool] = True
    SILENT_OPTIONS: ClassVar[tuple[str, ...]] = ("heads", "typical_depth")
    OPTIONS: ClassVar[dict[str, str]] = {
        "backbone": "as of transposenet",
        "image_size": "(height, width) of the image; train.py sets it from `image`",
        "camera": "(fx, fy, cx, cy) in pixels of that image; train.py sets it from the scene",
        "typical_depth": "of the scene's points, in its units; train.py measures it in the depth images; 0: it is 2, "
        "and nothing is contracted, as in scene models without this option",
        "level": "reduction level of the map that the Transformer works on",
        "detail_level": "reduction level of the map whose cells regress points",
        "layers": "encoder layers",
        "heads": "attention heads",
        "width": "of tokens and cells",
        "mlp_width": "hidden units of a layer's MLP",
        "dropout": "on the residual branches of each layer",
        "drop_connect": "rate of EfficientNet's last block (efficientnet-pytorch)",
        "iterations": "Gauss-Newton steps from the cells' points to the pose",
    }
    ALLOWED: ClassVar[dict[str, Check]] = {
        "backbone": one_of(*backbone_names()),
        "image_size": allowed.window,
        "camera": allowed.camera,
        "typical_depth": allowed.number(0, 1e6),
        "level": allowed.LEVEL,
        "detail_level": allowed.LEVEL,
        "layers": whole(0, 48),
        "heads": allowed.HEADS,
        "width": allowed.WIDTH,
        "mlp_width": allowed.HIDDEN,
        "dropout": allowed.SHARE,
        "drop_connect": allowed.SHARE_BELOW_1,
        "iterations": whole(0, 100),
    }

    centre_3: torch.Tensor
    ray_tokens_N3: torch.Tensor
    ray_cells_N3: torch.Tensor

    def __init__(
        self,
        backbone: str = "efficientnet-b0",
        image_size: tuple[int, int] = (224, 224),
        camera: tuple[float, float, float, float] | None = None,
        typical_depth: float = 0.0,
        level: int = 4,
        detail_level: int = 3,
        layers: int = 4,
        heads: int = 4,
        width: int = 256,
        mlp_width: int = 512,
        dropout: float = 0.0,
        drop_connect: float = 0.1,
        iterations: int = 4,
    ) -> None:
        super().__init__()
        if camera is None:
            raise ValueError("scene coordinates need the camera's intrinsics; give the scene its camera matrix")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        unit, reach = (typical_depth / UNITS, REACH * typical_depth) if typical_depth else (1.0, math.inf)
        self.contraction = Contraction(unit, reach)
        for each in (level, detail_level):
            check_cells(map_size(self.image_size, each))
        self.level, self.detail_level, self.iterations = level, detail_level, iterations
        self.backbone = build_backbone(backbone, tuple({level, detail_level}), drop_connect)
        self.project = nn.Conv2d(self.backbone.channels[level], width, 1)
        self.ray = nn.Linear(3, width)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, mlp_width, dropout, 0.0, dropout) for _ in range(layers))
        self.norm, self.spread = nn.LayerNorm(width), nn.Linear(width, width)
        self.detail = nn.Conv2d(self.backbone.channels[detail_level], width, 1)
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.out = nn.Linear(width, 6)
        self.register_buffer("centre_3", torch.zeros(3))
        for name, cells in (("ray_tokens_N3", self.cells(level)), ("ray_cells_N3", self.cells(detail_level))):
            self.register_buffer(name, rays(cells, camera), persistent=False)

    @classmethod
    def has_fixed_window(cls, options: Mapping[str, Any]) -> bool:
        """Always: the point of a cell depends on its ray."""
        return True

    def cells(self, level: int | None = None) -> torch.Tensor:
        """Centres (N, 2) of a level's cells in the image, x and y in pixels, row by row; `detail_level` if None."""
        return cell_centres(self.image_size, self.detail_level if level is None else level)

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``points`` (B, N, 3) in the map, ``depth`` (B, N) along the optical axis, in the scene's units, with the
        logarithms of their scales, ``log_scale`` and ``depth_log_scale`` (B, N), in contracted space. In training
        also ``contracted_points`` (B, N, 3); outside of it ``position`` (B, 3) and ``orientation`` (B, 4),
        ``T_map_camera``, and their ``covariance`` (B, 6, 6) from the scales of the cells: it orders the frames by their
        error, and `covariance_scale` corrects its size, since the errors of neighbouring cells are correlated.

        ValueError for an image of another size: its rays would be those of another camera.
        """
        numbers = self._numbers(image_B3HW)
        with torch.autocast(image_B3HW.device.type, enabled=False):
            output = self._cells(numbers)
            if self.training:
                return output | {"contracted_points": self.contraction.unit * numbers[..., :3]}
            return output | self.pose(output)

    def convertible(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``numbers`` (B, N, 6) of each cell: its point in contracted space, depth and the logarithms of both scales.
        Points and depths far away are of a size that lower precision does not resolve; these numbers are not."""
        return {"numbers": self._numbers(image_B3HW)}

    def finished(self, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` from the ``numbers`` of its cells."""
        numbers_BN6 = outputs["numbers"]
        if len(numbers_BN6) > 1 or numbers_BN6.device.type != "cpu":
            return (cells := self._cells(numbers_BN6)) | self.pose(cells)
        found = one_image_cells(
            numbers_BN6[0].numpy(),
            self.contraction,
            UNITS,
            LOG_SCALES,
            self.centre_3.numpy(),
            self.ray_cells_N3.numpy(),
        )
        position_3, orientation_4, covariance_66 = pose_of_points(
            found.p_camera_N3,
            found.points_N3,
            found.variance_N,
            found.ray_variance_N,
            self.iterations,
            self._least().numpy(),
        )
        single = {
            "points": found.points_N3,
            "depth": found.depth_N,
            "log_scale": found.log_scale_N,
            "depth_log_scale": found.depth_log_scale_N,
            "position": position_3,
            "orientation": orientation_4,
        }
        with np.errstate(over="ignore"):  # infinite, as in torch
            output = {name: torch.from_numpy(array.astype(np.float32))[None] for name, array in single.items()}
        return output | {"covariance": torch.from_numpy(covariance_66)[None]}

    def _numbers(self, image_B3HW: torch.Tensor) -> torch.Tensor:
        if tuple(image_B3HW.shape[-2:]) != self.image_size:
            raise ValueError(f"an image of {tuple(image_B3HW.shape[-2:])} pixels, the camera is for {self.image_size}")
        maps = self.backbone(image_B3HW)
        tokens_BNC = self.project(maps[self.level]).flatten(2).transpose(1, 2)
        position_NC = self.ray(self.ray_tokens_N3)
        for layer in self.layers:
            tokens_BNC = layer(tokens_BNC, position_NC)
        tokens_BNC = self.spread(self.norm(tokens_BNC) + position_NC)
        fine = maps[self.detail_level]
        coarse = tokens_BNC.transpose(1, 2).unflatten(2, maps[self.level].shape[-2:])
        coarse = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        cells_BNC = self.head((coarse + self.detail(fine)).flatten(2).transpose(1, 2))
        with torch.autocast(image_B3HW.device.type, enabled=False):  # bfloat16 resolves 3 m to 1 cm at best
            numbers_BN6: torch.Tensor = self.out(cells_BNC.float())
            return numbers_BN6

    def _cells(self, numbers_BN6: torch.Tensor) -> dict[str, torch.Tensor]:
        """What `forward` returns of the cells, from their numbers."""
        unit = self.contraction.unit
        points_BN3 = self.contraction.expanded(unit * numbers_BN6[..., :3]) + self.centre_3
        depth_BN = unit * UNITS * torch.exp(numbers_BN6[..., 3] / 2)
        log_scale_BN, depth_log_scale_BN = (numbers_BN6[..., i].clamp(*LOG_SCALES) + math.log(unit) for i in (4, 5))
        output = {"points": points_BN3, "depth": depth_BN}
        return output | {"log_scale": log_scale_BN, "depth_log_scale": depth_log_scale_BN}

    def pose(self, cells: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Position, orientation and covariance from the outputs of the cells."""
        p_camera_BN3, variance_BN, ray_variance_BN = self._measured(cells)
        position, orientation = aligned(p_camera_BN3, cells["points"], 1 / (3 * variance_BN + ray_variance_BN))
        position, orientation, information = refined(
            position, orientation, p_camera_BN3, cells["points"], variance_BN, ray_variance_BN, self.iterations
        )
        certain_66 = torch.diag(self._least().to(information.device))
        covariance_B66 = torch.linalg.inv(information.double() + certain_66)
        covariance_B66 = (covariance_B66 + covariance_B66.mT) / 2
        return {"position": position, "orientation": orientation, "covariance": covariance_B66}

    def _least(self) -> torch.Tensor:
        """The diagonal (6,) float64 of the information that there is in any case."""
        position = LEAST_INFORMATION / self.contraction.unit**2
        return torch.tensor([position] * 3 + [LEAST_INFORMATION] * 3, dtype=torch.float64)

    def _measured(self, cells: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The cells' points in the camera's frame (B, N, 3), their variance per axis and that along their rays."""
        p_camera_BN3 = self.ray_cells_N3 * cells["depth"][..., None]
        away_BN = torch.linalg.vector_norm(cells["points"] - self.centre_3, dim=-1)
        across_BN, along_BN = self.contraction.stretch(away_BN)
        _, deeper_BN = self.contraction.stretch(cells["depth"])
        # A mean absolute deviation b means a standard deviation of sqrt(2) b; a third of its square per axis. Far away
        # the line from the centre is the ray, so what a point is more uncertain along that counts along the ray.
        contracted_BN = 2 * torch.exp(2 * cells["log_scale"]) / 3
        variance_BN = contracted_BN * across_BN**2
        ray_variance_BN = 2 * torch.exp(2 * cells["depth_log_scale"]) * deeper_BN**2
        more_BN = contracted_BN * (along_BN**2 - across_BN**2)
        return p_camera_BN3, variance_BN, ray_variance_BN + more_BN / self.ray_cells_N3.square().sum(dim=-1)

    @torch.no_grad()
    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Make the untrained cells predict points in front of the training set's mean camera."""
        ahead_113 = torch.tensor([[[0.0, 0.0, UNITS * self.contraction.unit]]])
        self.centre_3.copy_(position.float() + rotated(orientation.float()[None], ahead_113)[0, 0])
        last = self.out
        nn.init.normal_(last.weight, std=1e-2)
        nn.init.zeros_(last.bias)
