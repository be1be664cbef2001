"""TransPoseNet: Shavit, Ferens, Keller, "Paying Attention to Activation Maps in Camera Pose Regression", 3.1-3.3."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.models.backbone import EfficientNetEndpoints, map_size
from transposenet_core.models.layers import PoseHead, TokenEncoder

POSITION_LEVEL = 4  # section 3.3: m_rdct4 (14 x 14 x 112 at 224 px) feeds the position branch
ORIENTATION_LEVEL = 3  # section 3.3: m_rdct3 (28 x 28 x 40 at 224 px) feeds the orientation branch


class TransPoseNet(nn.Module):
    """Two Transformer encoders over two activation maps of one backbone, one for position and one for orientation.

    The defaults are the paper's, but for dropout on the attention weights: it forbids fused attention and costs a CPU
    a factor of 2.5 to 4.6 per step, so it is an option. ``image_size`` is (height, width) in pixels.
    """

    def __init__(
        self,
        backbone: str = "efficientnet-b0",
        image_size: tuple[int, int] = (224, 224),
        layers: int = 6,
        heads: int = 4,
        width: int = 256,
        mlp_width: int = 256,
        head_width: int = 1024,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.backbone = EfficientNetEndpoints(backbone, (ORIENTATION_LEVEL, POSITION_LEVEL))
        encoder = {
            level: TokenEncoder(
                channels, map_size(self.image_size, level), layers, heads, width, mlp_width, dropout, attention_dropout
            )
            for level, channels in self.backbone.channels.items()
        }
        self.position_encoder, self.orientation_encoder = encoder[POSITION_LEVEL], encoder[ORIENTATION_LEVEL]
        self.position_head = PoseHead(width, head_width, 3)
        self.orientation_head = PoseHead(width, head_width, 4)

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``position`` (B, 3) in metres and ``orientation`` (B, 4), a unit quaternion w x y z: ``T_map_camera``.

        Raises ValueError for a picture of another size than the one the position tables were made for.
        """
        if tuple(image_B3HW.shape[-2:]) != self.image_size:
            raise ValueError(f"pictures of {tuple(image_B3HW.shape[-2:])} given, this model takes {self.image_size}")
        maps = self.backbone(image_B3HW)
        position_latent = self.position_encoder(maps[POSITION_LEVEL]).float()
        orientation_latent = self.orientation_encoder(maps[ORIENTATION_LEVEL]).float()
        # Under autocast the heads stay in float32: bfloat16 holds a position of 3 m to no better than 1 cm.
        with torch.autocast(image_B3HW.device.type, enabled=False):
            position = self.position_head(position_latent)
            orientation = F.normalize(self.orientation_head(orientation_latent), dim=-1)
        return {"position": position, "orientation": orientation}

    @torch.no_grad()
    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Let the untrained heads answer the training set's mean pose: the paper leaves their initial bias open."""
        self.position_head.start_from(position)
        self.orientation_head.start_from(orientation)
