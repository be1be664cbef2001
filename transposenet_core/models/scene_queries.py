"""Layers for several scenes in one network: a Transformer with one query, and so one latent, per scene, and heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.models.allowed import check_cells
from transposenet_core.models.layers import EncoderLayer, PoseHead, PositionEncoding2d, layer_mlp


class Attention(nn.Module):
    """Multi-head attention. Keys have no bias: the softmax does not depend on it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, query_BQC: torch.Tensor, key_BNC: torch.Tensor, value_BNC: torch.Tensor) -> torch.Tensor:
        """(B, Q, C): for each query the mean of the values, weighted by the keys."""
        projected = self.query(query_BQC), self.key(key_BNC), self.value(value_BNC)
        query, key, value = (x_BNC.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x_BNC in projected)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out(attended.transpose(1, 2).flatten(-2))


class DecoderLayer(nn.Module):
    """Pre-norm: the queries attend to each other, then to the encoded cells, then an MLP; each is a residual branch.

    The first layer has no self-attention: its queries all have the same state (see `SceneTransformer`).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_width: int,
        dropout: float,
        attention_dropout: float,
        mlp_dropout: float,
        first: bool,
    ) -> None:
        super().__init__()
        self.between = None if first else Attention(width, heads, attention_dropout)
        self.norm_between = None if first else nn.LayerNorm(width)
        self.across, self.norm_across = Attention(width, heads, attention_dropout), nn.LayerNorm(width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = layer_mlp(width, mlp_width, mlp_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x_BSC: torch.Tensor, query_SC: torch.Tensor, memory_BNC: torch.Tensor, position_NC: torch.Tensor
    ) -> torch.Tensor:
        """The new state (B, S, C); queries and positions are added where weights are computed, as in the encoder."""
        if self.between is not None and self.norm_between is not None:
            normed = self.norm_between(x_BSC)
            x_BSC = x_BSC + self.dropout(self.between(normed + query_SC, normed + query_SC, normed))
        asked = self.norm_across(x_BSC) + query_SC
        x_BSC = x_BSC + self.dropout(self.across(asked, memory_BNC + position_NC, memory_BNC))
        return x_BSC + self.dropout(self.mlp(self.norm_mlp(x_BSC)))


class SceneTransformer(nn.Module):
    """An activation map to one latent per scene: an encoder without a token, a decoder with a learned query per scene.

    The decoder's input is zeros. For zeros the first self-attention returns the same vector for every query, whatever
    its weights: ``start`` is that vector.
    """

    def __init__(
        self,
        channels: int,
        map_size: tuple[int, int],
        scenes: int,
        encoder_layers: int,
        decoder_layers: int,
        heads: int,
        width: int,
        mlp_width: int,
        dropout: float,
        attention_dropout: float,
        mlp_dropout: float,
    ) -> None:
        super().__init__()
        check_cells(map_size)
        options = (width, heads, mlp_width, dropout, attention_dropout, mlp_dropout)
        self.project = nn.Conv2d(channels, width, kernel_size=1)
        self.position = PositionEncoding2d(map_size, width)
        self.encoder = nn.ModuleList(EncoderLayer(*options) for _ in range(encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(DecoderLayer(*options, first=number == 0) for number in range(decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.query = nn.Parameter(torch.randn(scenes, width))
        self.start = nn.Parameter(torch.zeros(width))
        nn.init.trunc_normal_(self.start, std=0.02)
        for parameter in [*self.encoder.parameters(), *self.decoder.parameters()]:
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, map_BCHW: torch.Tensor) -> torch.Tensor:
        """(B, S, width)."""
        map_BCHW = self.project(map_BCHW)
        position_NC = self.position((map_BCHW.shape[-2], map_BCHW.shape[-1]))[1:]  # entry 0 is a token's
        memory_BNC = map_BCHW.flatten(2).transpose(1, 2)
        for layer in self.encoder:
            memory_BNC = layer(memory_BNC, position_NC)
        memory_BNC = self.encoder_norm(memory_BNC)
        x_BSC = self.start.expand(len(memory_BNC), len(self.query), -1)
        for layer in self.decoder:
            x_BSC = layer(x_BSC, self.query, memory_BNC, position_NC)
        return self.decoder_norm(x_BSC)


class ClusterHead(nn.Module):
    """A pose component per scene and cluster: the cluster's centre plus a residual, and the cluster's probability.

    With one cluster a scene's centre is its mean pose, and nothing is classified.
    """

    centre_SKP: torch.Tensor

    def __init__(self, width: int, hidden: int, scenes: int, clusters: int, outputs: int) -> None:
        super().__init__()
        self.clusters, self.outputs = clusters, outputs
        self.residual = PoseHead(width, hidden, clusters * outputs)
        self.classify = nn.Linear(width, clusters) if clusters > 1 else None
        self.register_buffer("centre_SKP", torch.zeros(scenes, clusters, outputs))

    def forward(
        self, latent_BSC: torch.Tensor, scene_BS: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Components (B, S, K, outputs) and the clusters' log-probabilities (B, S, K): of every scene, or of the scenes
        `scene_BS` of the latents."""
        centre = self.centre_SKP if scene_BS is None else self.centre_SKP[scene_BS]
        output_BSKP = centre + self.residual(latent_BSC).unflatten(-1, (self.clusters, self.outputs))
        if self.classify is None:
            return output_BSKP, torch.zeros_like(output_BSKP[..., 0])
        return output_BSKP, F.log_softmax(self.classify(latent_BSC), dim=-1)
