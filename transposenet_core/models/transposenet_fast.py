"""TransPoseNet on fewer tokens: the same two encoders for robots without a GPU."""

from __future__ import annotations

from transposenet_core.models.transposenet import TransPoseNet


class TransPoseNetFast(TransPoseNet):
    """Each encoder's 8 learned tokens read the cells of the map by cross-attention; the cells are never updated.

    Four layers instead of six, dropout on the residual branches alone. The other way to fewer tokens,
    ``latents=0, orientation_stride=2`` (a quarter of the cells), was measured beside it: docs/results.md.
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
        orientation_stride: int = 1,
        latents: int = 8,
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
