"""TransPoseNet: Shavit, Ferens, Keller, "Paying Attention to Activation Maps in Camera Pose Regression", 3.1-3.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.geometry.rotation_6d import columns_of, orientation_from_columns
from transposenet_core.models import allowed
from transposenet_core.models.allowed import Check, one_of, or_none, whole
from transposenet_core.models.backbone import backbone_names, build_backbone, map_size
from transposenet_core.models.camera_rays import cell_centres, rays
from transposenet_core.models.contract import PoseModel, ScenePoses
from transposenet_core.models.layers import PoseHead, TokenEncoder

FIRST_PRIOR_LAYER = "orientation_head.0.weight"
SMALLEST_SPREAD_M = 0.01  # of training positions: 0 for a camera that only rotated


class TransPoseNet(nn.Module, PoseModel):
    """Two Transformer encoders over two activation maps of one backbone, one for position and one for orientation.

    The defaults are the paper's, except for dropout on the attention weights: it prevents fused attention and makes a
    step on a CPU 2.5 to 4.6 times slower, so it is an option. ``image_size`` is the (height, width) that the position
    tables are made for; for images of other sizes they are interpolated. ``orientation_prior`` gives the orientation
    head the position latent as well, as in the paper's second stage outdoors (section 4).
    """

    OPTIONS: ClassVar[dict[str, str]] = {
        "backbone": "efficientnet-b0, -b1, or resnet50 where torchvision is installed (section 3.3, Table 5)",
        "image_size": "(height, width) that the position tables are made for; train.py sets it from `image`",
        "position_level": "reduction level of the position encoder's map: its size is the image's / 2^level (3.3)",
        "orientation_level": "the same for the orientation encoder (section 3.3, Table 8)",
        "layers": "encoder layers in each branch (section 3.3, Table 6)",
        "heads": "attention heads; 4 in the paper (section 3.3), 8 in its code",
        "width": "of tokens and latents (section 3.3, Table 7)",
        "mlp_width": "hidden units of a layer's MLP (section 3.3)",
        "head_width": "hidden units of the pose heads (section 3.1)",
        "dropout": "on the residual branches of each layer (section 3.3)",
        "attention_dropout": "on attention weights, as in the paper's code; prevents fused attention (ours: 0)",
        "mlp_dropout": "inside a layer's MLP; None: as `dropout`",
        "drop_connect": "rate of EfficientNet's last block; lower in earlier blocks (efficientnet-pytorch)",
        "orientation_prior": "the orientation head also receives the position latent (section 4, outdoors)",
        "position_stride": "side of a token in cells of the map, position encoder (paper: 1)",
        "orientation_stride": "the same for the orientation encoder",
        "latents": "learned tokens that attend to the cells, which are not updated; 0: the paper's encoder",
        "drop_path": "share of images that skip a branch of the last layer; lower in earlier layers (ours)",
        "position_encoding": "tables (Eq. 2), or rays: from the viewing direction of each cell; needs intrinsics",
        "camera": "(fx, fy, cx, cy) in pixels of the image; train.py sets it from the scene",
        "rotation": "output of the orientation head: quaternion, or 6d (a matrix's first columns, Zhou et al. 2019)",
        "normalise_position": "the position head regresses in the scale of the training positions; output in metres",
    }
    ALLOWED: ClassVar[dict[str, Check]] = {
        "backbone": one_of(*backbone_names()),
        "image_size": allowed.window,
        "position_level": allowed.LEVEL,
        "orientation_level": allowed.LEVEL,
        "layers": allowed.LAYERS,
        "heads": allowed.HEADS,
        "width": allowed.WIDTH,
        "mlp_width": allowed.HIDDEN,
        "head_width": allowed.HIDDEN,
        "dropout": allowed.SHARE,
        "attention_dropout": allowed.SHARE_BELOW_1,
        "mlp_dropout": or_none(allowed.SHARE),
        "drop_connect": allowed.SHARE_BELOW_1,
        "orientation_prior": allowed.flag,
        "position_stride": allowed.STRIDE,
        "orientation_stride": allowed.STRIDE,
        "latents": whole(0, 256),
        "drop_path": allowed.SHARE_BELOW_1,
        "position_encoding": one_of("tables", "rays"),
        "camera": allowed.camera,
        "rotation": one_of("quaternion", "6d"),
        "normalise_position": allowed.flag,
    }

    TAKES_CAMERA: ClassVar[bool] = True
    HAS_LATENTS: ClassVar[bool] = True
    HEADS: ClassVar[tuple[str, ...]] = ("position_head", "orientation_head")
    PRIOR_OPTION: ClassVar[str] = "orientation_prior"
    HAS_CELLS: ClassVar[bool] = True
    SILENT_OPTIONS: ClassVar[tuple[str, ...]] = ("heads",)

    has_attention = True
    position_centre_3: torch.Tensor
    position_scale: torch.Tensor

    def __init__(
        self,
        backbone: str = "efficientnet-b0",
        image_size: tuple[int, int] = (224, 224),
        position_level: int = 4,  # section 3.3: m_rdct4, 14 x 14 x 112 at 224 px
        orientation_level: int = 3,  # section 3.3: m_rdct3, 28 x 28 x 40 at 224 px
        layers: int = 6,
        heads: int = 4,
        width: int = 256,
        mlp_width: int = 256,
        head_width: int = 1024,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        mlp_dropout: float | None = None,
        drop_connect: float = 0.2,
        orientation_prior: bool = False,
        position_stride: int = 1,
        orientation_stride: int = 1,
        latents: int = 0,
        drop_path: float = 0.0,
        position_encoding: str = "tables",
        camera: tuple[float, float, float, float] | None = None,
        rotation: str = "quaternion",
        normalise_position: bool = False,
    ) -> None:
        super().__init__()
        if position_encoding == "rays" and camera is None:
            raise ValueError("position_encoding=rays needs the camera's intrinsics; give the scene its camera matrix")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.camera = camera
        self.position_level, self.orientation_level = position_level, orientation_level
        self.orientation_prior = orientation_prior
        self.latent_width = width
        self.backbone = build_backbone(backbone, tuple({position_level, orientation_level}), drop_connect)

        by_ray = position_encoding == "rays"

        def encoder(level: int, stride: int) -> TokenEncoder:
            return TokenEncoder(
                channels=self.backbone.channels[level],
                map_size=map_size(self.image_size, level),
                layers=layers,
                heads=heads,
                width=width,
                mlp_width=mlp_width,
                dropout=dropout,
                attention_dropout=attention_dropout,
                mlp_dropout=dropout if mlp_dropout is None else mlp_dropout,
                stride=stride,
                latents=latents,
                drop_path=drop_path,
                rays_N3=rays(cell_centres(self.image_size, level, stride), camera) if by_ray and camera else None,
            )

        self.position_encoder = encoder(position_level, position_stride)
        self.orientation_encoder = encoder(orientation_level, orientation_stride)
        self.position_head = PoseHead(width, head_width, 3)
        self.orientation_head = PoseHead(
            2 * width if orientation_prior else width, head_width, 4 if rotation == "quaternion" else 6
        )
        self.rotation, self.normalise_position = rotation, normalise_position
        if normalise_position:
            self.register_buffer("position_centre_3", torch.zeros(3))
            self.register_buffer("position_scale", torch.ones(()))

    @classmethod
    def has_fixed_window(cls, options: Mapping[str, Any]) -> bool:
        """If the positions of cells are encoded from their rays."""
        return options.get("position_encoding") == "rays"

    def forward(self, image_B3HW: torch.Tensor, with_attention: bool = False) -> dict[str, torch.Tensor]:
        """``position`` (B, 3) in metres and ``orientation`` (B, 4), a unit quaternion w x y z: ``T_map_camera``.

        With attention also ``position_attention`` and ``orientation_attention`` (B, H_m, W_m), see TokenEncoder.
        """
        return self.regress(self.encode(image_B3HW, with_attention))

    def encode(self, image_B3HW: torch.Tensor, with_attention: bool = False) -> dict[str, torch.Tensor]:
        """Inputs of the heads: ``position_latent`` and ``orientation_latent`` (B, width), and attention on request."""
        maps = self.backbone(image_B3HW)
        x_latent, x_attention = self.position_encoder(maps[self.position_level], with_attention)
        q_latent, q_attention = self.orientation_encoder(maps[self.orientation_level], with_attention)
        latents = {"position_latent": x_latent.float(), "orientation_latent": q_latent.float()}
        if self.training:  # for an auxiliary head that is not kept: `loss.points`
            latents["cells_map"] = maps[self.orientation_level]
        if with_attention:
            latents |= {"position_attention": x_attention.float(), "orientation_attention": q_attention.float()}
        return latents

    def regress(self, latents: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` from what `encode` returns."""
        x_latent, q_latent = latents["position_latent"], latents["orientation_latent"]
        # Under autocast the heads stay in float32: bfloat16 resolves a position of 3 m to 1 cm at best.
        with torch.autocast(x_latent.device.type, enabled=False):
            position = self.position_head(x_latent)
            if self.normalise_position:
                position = position * self.position_scale + self.position_centre_3
            seen = torch.cat((q_latent, x_latent), dim=-1) if self.orientation_prior else q_latent
            numbers = self.orientation_head(seen)
            orientation = orientation_from_columns(numbers) if self.rotation == "6d" else F.normalize(numbers, dim=-1)
        output = {"position": position, "orientation": orientation}
        return output | {name: value for name, value in latents.items() if name.endswith(("_attention", "_map"))}

    def cells_seen(self) -> tuple[int, torch.Tensor, torch.Tensor]:
        """Channels of ``cells_map``, which is in the output during training (B, C, H_m, W_m), the centres (N, 2) of its
        cells, x and y in pixels of the image, and their rays (N, 3). ValueError without intrinsics."""
        if self.camera is None:
            raise ValueError("a cell's ray needs the camera's intrinsics; give the scene its camera matrix")
        centres_N2 = cell_centres(self.image_size, self.orientation_level)
        return self.backbone.channels[self.orientation_level], centres_N2, rays(centres_N2, self.camera)

    @torch.no_grad()
    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Make the untrained heads return the training set's mean pose: the paper leaves their initial bias open."""
        if self.normalise_position:
            self.position_centre_3.copy_(position)
            position = torch.zeros_like(position)
        self.position_head.start_from(position)
        self.orientation_head.start_from(columns_of(orientation[None])[0] if self.rotation == "6d" else orientation)

    def start_from_poses(self, poses: Sequence[ScenePoses]) -> None:
        """The mean of the training poses, and their spread as the position head's scale."""
        super().start_from_poses(poses)
        self.scale_from(torch.from_numpy(poses[0][0]))

    def earlier_state(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights without the position prior: the new columns are zero, so the orientation head returns the same."""
        narrow, wide = state.get(FIRST_PRIOR_LAYER), self.state_dict()[FIRST_PRIOR_LAYER]
        if narrow is not None and wide.shape[1] == 2 * narrow.shape[1]:
            return state | {FIRST_PRIOR_LAYER: torch.cat((narrow, torch.zeros_like(narrow)), dim=1)}
        return state

    @torch.no_grad()
    def scale_from(self, positions_N3: torch.Tensor) -> None:
        """Make the spread of the training positions (N, 3) the unit of the position head, with `normalise_position`."""
        if self.normalise_position:
            self.position_scale.copy_(positions_N3.std(dim=0, correction=0).norm().clamp(min=SMALLEST_SPREAD_M))
