"""Shared layers: position encoding, the pre-norm Transformer encoder with a token, the pose head (TransPoseNet 3.1)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class PositionEncoding2d(nn.Module):
    """Learned encodings of a token and a map's cells: two 1-D tables, entry 0 of each is the token's alone (Eq. 2)."""

    def __init__(self, map_size: tuple[int, int], width: int) -> None:
        super().__init__()
        height_m, width_m = map_size
        self.rows = nn.Parameter(torch.rand(height_m + 1, width // 2))
        self.columns = nn.Parameter(torch.rand(width_m + 1, width // 2))

    def forward(self) -> torch.Tensor:
        """(1 + H_m * W_m, width): the token's entry first, then the cells row by row."""
        height_m, width_m = len(self.rows) - 1, len(self.columns) - 1
        columns = self.columns[1:].expand(height_m, width_m, -1)
        rows = self.rows[1:, None].expand(height_m, width_m, -1)
        token = torch.cat((self.columns[:1], self.rows[:1]), dim=-1)
        return torch.cat((token, torch.cat((columns, rows), dim=-1).flatten(0, 1)))


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and MLP, each added back with dropout; positions are added to queries and keys."""

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be shared by {heads} heads")
        self.heads, self.attention_dropout = heads, attention_dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key, self.value = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BNC: torch.Tensor, position_NC: torch.Tensor) -> torch.Tensor:
        normed = self.norm_attention(x_BNC)
        query, key = self.query_key(normed + position_NC).chunk(2, dim=-1)
        query, key, value = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (query, key, self.value(normed))
        )
        dropout = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        x_BNC = x_BNC + self.dropout(self.out(attended.transpose(1, 2).flatten(-2)))
        return x_BNC + self.dropout(self.mlp(self.norm_mlp(x_BNC)))


class TokenEncoder(nn.Module):
    """An activation map to one latent (Eq. 1): 1x1 projection, a learned token first, encoder layers, final norm."""

    def __init__(
        self,
        channels: int,
        map_size: tuple[int, int],
        layers: int,
        heads: int,
        width: int,
        mlp_width: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, width, kernel_size=1)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = PositionEncoding2d(map_size, width)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, mlp_width, dropout, attention_dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, map_BCHW: torch.Tensor) -> torch.Tensor:
        """The token's final state (B, width)."""
        cells_BNC = self.project(map_BCHW).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(cells_BNC), -1, -1), cells_BNC), dim=1)
        position = self.position()
        for layer in self.layers:
            x = layer(x, position)
        return self.norm(x[:, 0])


class PoseHead(nn.Sequential):
    """One hidden layer with GELU that regresses a pose component from a latent (TransPoseNet 3.1, "MLP Head")."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, outputs))

    def start_from(self, value: torch.Tensor) -> None:
        """Make `value` (outputs,) the last layer's bias."""
        last: Any = self[-1]
        last.bias.copy_(value)
