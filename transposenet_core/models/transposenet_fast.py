"""TransPoseNet on fewer tokens: the same two encoders for robots without a GPU."""

from __future__ import annotations

from transposenet_core.models.transposenet import TransPoseNet


class TransPoseNetFast(TransPoseNet):
    """The orientation encoder reads a 2 x 2 strided projection of its map: a quarter of the cells, 79 % of the work.

    Four layers instead of six, dropout on the residual branches alone. ``latents`` > 0 instead of strides lets that
    many learned tokens read every cell by cross-attention; docs/results.md has both side by side.
    """

    def __init__(
        self,
        backbone: str = "efficientnet-b0",
        image_size: tuple[int, int] = (224, 224),
        position_level: int = 4,
        orientation_level: int = 3,
        layers: int = 4,
        heads: int = 4,
        width: int = 256,
        mlp_width: int = 256,
        head_width: int = 1024,
        dropout: float = 0.1,
        drop_connect: float = 0.2,
        orientation_prior: bool = False,
        position_stride: int = 1,
        orientation_stride: int = 2,
        latents: int = 0,
    ) -> None:
        super().__init__(
            backbone=backbone,
            image_size=image_size,
            position_level=position_level,
            orientation_level=orientation_level,
            layers=layers,
            heads=heads,
            width=width,
            mlp_width=mlp_width,
            head_width=head_width,
            dropout=dropout,
            attention_dropout=0.0,
            mlp_dropout=0.0,
            drop_connect=drop_connect,
            orientation_prior=orientation_prior,
            position_stride=position_stride,
            orientation_stride=orientation_stride,
            latents=latents,
        )
