"""PoseNet: Kendall, Grimes, Cipolla, "PoseNet: A convolutional network for real-time 6-DOF camera relocalization"."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.models import allowed
from transposenet_core.models.allowed import Check, one_of, whole
from transposenet_core.models.backbone import map_size
from transposenet_core.models.contract import PoseModel
from transposenet_core.models.posenet_backbones import build_posenet_backbone, posenet_backbone_names

AUXILIARY_LEVEL = 4  # GoogLeNet's blocks 4a and 4d have 1/16 of the image's size
AUXILIARY_CHANNELS, AUXILIARY_WIDTH = 128, 1024
WINDOW, STRIDE = 5, 3  # of the pool before an auxiliary regressor


class Regressor(nn.Module):
    """A feature vector (B, `width`) through one fully connected layer, dropout, and two affine maps to a pose."""

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(channels, width), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(dropout)
        reduced = self.reduction(width)
        self.position, self.orientation = nn.Linear(reduced, 3), nn.Linear(reduced, 4)

    def reduction(self, width: int) -> int:
        """Add the layers between the feature vector and the pose, if any. Returns the number of their outputs."""
        return width

    def reduced(self, feature_BC: torch.Tensor) -> torch.Tensor:
        """The input of the pose layers."""
        return feature_BC

    def forward(self, pooled_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Position (B, 3), and orientation (B, 4) of any length."""
        return self.pose(self.dropout(self.reduced(self.feature(pooled_BC))))

    def pose(self, reduced_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.position(reduced_BC), self.orientation(reduced_BC)

    @property
    def latent_width(self) -> int:
        """The width L of `latent`."""
        return self.position.in_features

    def latent(self, pooled_BC: torch.Tensor) -> torch.Tensor:
        """(B, L) from which position and orientation are computed at inference."""
        return self.reduced(self.feature(pooled_BC))

    def poses_from_latents(
        self, position_latent_BL: torch.Tensor, orientation_latent_BL: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The output at inference from `latent`, one for each half of the pose."""
        orientation = self.orientation(orientation_latent_BL)
        return {"position": self.position(position_latent_BL), "orientation": F.normalize(orientation, dim=-1)}

    @torch.no_grad()
    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Make the untrained layers return approximately this pose."""
        for affine, bias in ((self.position, position), (self.orientation, F.normalize(orientation, dim=0))):
            nn.init.normal_(affine.weight, std=1e-2 / affine.in_features**0.5)
            affine.bias.copy_(bias)


class PoseNet(nn.Module, PoseModel):
    """One pose from the 2048-vector at GoogLeNet's end, and in training two more from blocks 4a and 4d (section 3.2).

    Only GoogLeNet has the auxiliary regressors; the other backbones have one regressor. In training the quaternions are
    of any length, as in Eq. 2; at inference they are of unit length. 128 crops (section 3.1): `image.crops`.
    """

    OPTIONS: ClassVar[dict[str, str]] = {
        "backbone": "googlenet (no batch norm), googlenet_tv (torchvision's), or a backbone of transposenet",
        "image_size": "(height, width) that the auxiliary regressors are made for; train.py sets it from `image`",
        "feature_width": "of the vector that the pose is regressed from (section 3.2), a multiple of 32",
        "dropout": "on that vector",
        "auxiliary_dropout": "on the auxiliary regressors' vectors",
        "drop_connect": "of EfficientNet's last block (efficientnet-pytorch)",
    }
    ALLOWED: ClassVar[dict[str, Check]] = {
        "backbone": one_of(*posenet_backbone_names()),
        "image_size": allowed.window,
        "feature_width": whole(32, 4096, multiple_of=32),
        "dropout": allowed.SHARE,
        "auxiliary_dropout": allowed.SHARE,
        "drop_connect": allowed.SHARE_BELOW_1,
    }
    HAS_LATENTS: ClassVar[bool] = True
    AUXILIARY_REGRESSOR: ClassVar[type[Regressor]] = Regressor
    REGRESSOR: ClassVar[type[Regressor]] = Regressor

    def __init__(
        self,
        backbone: str = "googlenet",
        image_size: tuple[int, int] = (224, 224),
        feature_width: int = 2048,
        dropout: float = 0.5,
        auxiliary_dropout: float = 0.7,
        drop_connect: float = 0.2,
    ) -> None:
        super().__init__()
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.backbone = build_posenet_backbone(backbone, drop_connect)
        *self.auxiliary_maps, self.last_map = self.backbone.channels
        cells = map_size(self.image_size, AUXILIARY_LEVEL)
        if self.auxiliary_maps and min(cells) < WINDOW:
            raise ValueError(f"image_size is {self.image_size}, {backbone} needs a height and width of at least 65")
        pooled = AUXILIARY_CHANNELS * ((cells[0] - WINDOW) // STRIDE + 1) * ((cells[1] - WINDOW) // STRIDE + 1)
        self.projections = nn.ModuleList(
            nn.Sequential(
                nn.AvgPool2d(WINDOW, STRIDE),
                nn.Conv2d(self.backbone.channels[name], AUXILIARY_CHANNELS, 1),
                nn.ReLU(inplace=True),
                nn.Flatten(),
            )
            for name in self.auxiliary_maps
        )
        self.auxiliary = nn.ModuleList(
            self.AUXILIARY_REGRESSOR(pooled, AUXILIARY_WIDTH, auxiliary_dropout) for _ in self.auxiliary_maps
        )
        self.regressor = self.REGRESSOR(self.backbone.channels[self.last_map], feature_width, dropout)
        self.latent_width = self.regressor.latent_width

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``position`` (B, 3) in metres and ``orientation`` (B, 4), w x y z: ``T_map_camera``.

        In training also ``auxiliary_position`` (B, 2, 3) and ``auxiliary_orientation`` (B, 2, 4) of GoogLeNet.
        ValueError for a training image of another size than `image_size`.
        """
        if not self.training:
            return self.regress(self.encode(image_B3HW))
        maps = self.backbone(image_B3HW)
        # Under autocast the regressors stay in float32: bfloat16 resolves a position of 3 m to 1 cm at best.
        with torch.autocast(image_B3HW.device.type, enabled=False):
            position, orientation = self.regressor(self._pooled(maps))
            output = {"position": position, "orientation": orientation}
            return output | self._auxiliary_outputs(image_B3HW, maps)

    def encode(self, image_B3HW: torch.Tensor, with_attention: bool = False) -> dict[str, torch.Tensor]:
        """The input of the pose layers at inference: ``position_latent`` and ``orientation_latent``
        (B, ``latent_width``), one and the same vector here. There are no attention maps."""
        maps = self.backbone(image_B3HW)
        with torch.autocast(image_B3HW.device.type, enabled=False):
            latent_BL = self.regressor.latent(self._pooled(maps))
        return {"position_latent": latent_BL, "orientation_latent": latent_BL}

    def regress(self, latents: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output at inference, from what `encode` returns."""
        x_latent, q_latent = latents["position_latent"], latents["orientation_latent"]
        with torch.autocast(x_latent.device.type, enabled=False):
            return self.regressor.poses_from_latents(x_latent, q_latent)

    def _pooled(self, maps: dict[str, torch.Tensor]) -> torch.Tensor:
        return maps[self.last_map].float().mean(dim=(2, 3))

    def _auxiliary_outputs(self, image_B3HW: torch.Tensor, maps: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if not self.auxiliary_maps:
            return {}
        if tuple(image_B3HW.shape[-2:]) != self.image_size:
            raise ValueError(
                f"a training image of {tuple(image_B3HW.shape[-2:])} pixels, the auxiliary regressors are for "
                f"{self.image_size}"
            )
        poses = [
            regressor(projection(maps[name].float()))
            for name, projection, regressor in zip(self.auxiliary_maps, self.projections, self.auxiliary, strict=True)
        ]
        positions, orientations = (torch.stack(part, dim=1) for part in zip(*poses, strict=True))
        return {"auxiliary_position": positions, "auxiliary_orientation": orientations}

    @torch.no_grad()
    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Make the untrained regressors return the training set's mean pose."""
        for regressor in (self.regressor, *self.auxiliary):
            regressor.start_from(position, orientation)  # type: ignore[operator]
