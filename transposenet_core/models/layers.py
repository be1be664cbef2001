"""Shared layers: position encoding, the pre-norm Transformer encoder with a token, the pose head (TransPoseNet 3.1)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.models.allowed import check_cells


def layer_mlp(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """The MLP at the end of every Transformer layer."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))


class PositionEncoding2d(nn.Module):
    """Learned encodings of a token and a map's cells: two 1-D tables, entry 0 of each belongs to the token (Eq. 2).

    The tables are made for one map size; for another they are interpolated linearly, except the token's entries.
    """

    def __init__(self, map_size: tuple[int, int], width: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width {width} is odd: half of it encodes rows, half columns")
        height_m, width_m = map_size
        self.rows = nn.Parameter(torch.rand(height_m + 1, width // 2))
        self.columns = nn.Parameter(torch.rand(width_m + 1, width // 2))

    def forward(self, map_size: tuple[int, int]) -> torch.Tensor:
        """(1 + H_m * W_m, width): the token's entry first, then the cells row by row."""
        height_m, width_m = map_size
        columns = _resized(self.columns[1:], width_m).expand(height_m, width_m, -1)
        rows = _resized(self.rows[1:], height_m)[:, None].expand(height_m, width_m, -1)
        token = torch.cat((self.columns[:1], self.rows[:1]), dim=-1)
        return torch.cat((token, torch.cat((columns, rows), dim=-1).flatten(0, 1)))


class RayEncoding(nn.Module):
    """The same from the viewing direction of a cell instead of its index in the map: a linear function of its ray.

    For one camera and one image size: `rays_N3` are the directions of the cells, row by row.
    """

    rays_N3: torch.Tensor

    def __init__(self, rays_N3: torch.Tensor, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(1, width))
        self.ray = nn.Linear(3, width)
        self.register_buffer("rays_N3", rays_N3, persistent=False)

    def forward(self, map_size: tuple[int, int]) -> torch.Tensor:
        """(1 + H_m * W_m, width). ValueError for a map of another size: its rays would be another camera's."""
        if map_size[0] * map_size[1] != len(self.rays_N3):
            raise ValueError(f"a map of {map_size[0]} x {map_size[1]} cells, but there are rays of {len(self.rays_N3)}")
        return torch.cat((self.token, self.ray(self.rays_N3)))


def _resized(table_NC: torch.Tensor, length: int) -> torch.Tensor:
    """The table interpolated to `length` entries; unchanged if it has that many."""
    if len(table_NC) == length:
        return table_NC
    return F.interpolate(table_NC.T[None], size=length, mode="linear", align_corners=False)[0].T


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and MLP, each a residual branch with dropout; positions are added to queries and keys.

    In training a share `drop_path` of the images skips each of the two (Huang et al., "Deep networks with stochastic
    depth", 2016).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_width: int,
        dropout: float,
        attention_dropout: float,
        mlp_dropout: float,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not divisible by {heads} heads")
        self.drop_path = drop_path
        self.heads, self.attention_dropout = heads, attention_dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key, self.value = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.mlp = layer_mlp(width, mlp_width, mlp_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BNC: torch.Tensor, position_NC: torch.Tensor, rows: int | None = None) -> torch.Tensor:
        """The new state of the first `rows` entries (B, rows, C), of all if None; attention is over all entries."""
        normed = self.norm_attention(x_BNC)
        dropout = self.attention_dropout if self.training else 0.0
        if rows is not None and dropout == 0 and self.heads * rows < x_BNC.shape[-1]:
            attended = self._attended_by_few(normed, normed + position_NC, rows)
        else:
            query, key = (self._by_head(t) for t in self._query_key(normed + position_NC, rows))
            attended = F.scaled_dot_product_attention(query, key, self._by_head(self.value(normed)), dropout_p=dropout)
        x_BNC = x_BNC[:, :rows] + self._dropped(self.out(attended.transpose(1, 2).flatten(-2)))
        return x_BNC + self._dropped(self.mlp(self.norm_mlp(x_BNC)))

    def _attended_by_few(self, normed_BNC: torch.Tensor, encoded_BNC: torch.Tensor, rows: int) -> torch.Tensor:
        """What the first `rows` entries gather by attention (B, heads, rows, C / heads), without keys and values.

        The same sums in another order: q (W x) = (q W) x, and the mean of W x is W times the mean of x. Few queries
        pass through W instead of all entries. A key's bias adds the same to all scores of a query, so it cancels.
        """
        (query_CC, key_CC), (query_C, _) = self.query_key.weight.chunk(2), self.query_key.bias.chunk(2)
        query_BHRD = self._by_head(F.linear(encoded_BNC[:, :rows], query_CC, query_C))
        key_HDC, value_HDC = (w.unflatten(0, (self.heads, -1)) for w in (key_CC, self.value.weight))
        query_BQC = ((query_BHRD * query_BHRD.shape[-1] ** -0.5) @ key_HDC).flatten(1, 2)
        weights_BQN = (query_BQC @ encoded_BNC.transpose(1, 2)).softmax(dim=-1)
        mean_BHRC = (weights_BQN @ normed_BNC).unflatten(1, (self.heads, rows))
        return mean_BHRC @ value_HDC.transpose(1, 2) + self.value.bias.unflatten(0, (self.heads, 1, -1))

    def _dropped(self, added_BNC: torch.Tensor) -> torch.Tensor:
        added_BNC = self.dropout(added_BNC)
        if self.drop_path == 0 or not self.training:
            return added_BNC
        return added_BNC * F.dropout(added_BNC.new_ones(len(added_BNC), 1, 1), self.drop_path)

    def _query_key(self, x_BNC: torch.Tensor, rows: int | None) -> tuple[torch.Tensor, ...]:
        if rows is None:
            return self.query_key(x_BNC).chunk(2, dim=-1)
        (query_CC, key_CC), (query_C, key_C) = self.query_key.weight.chunk(2), self.query_key.bias.chunk(2)
        return F.linear(x_BNC[:, :rows], query_CC, query_C), F.linear(x_BNC, key_CC, key_C)

    def token_attention(self, x_BNC: torch.Tensor, position_NC: torch.Tensor) -> torch.Tensor:
        """How much the token attends to each entry (B, N): the mean over the heads; each row sums to 1."""
        query, key = (self._by_head(t) for t in self._query_key(self.norm_attention(x_BNC) + position_NC, 1))
        scores = (query @ key.transpose(-2, -1)) / query.shape[-1] ** 0.5
        return scores.softmax(dim=-1).mean(dim=1)[:, 0]

    def _by_head(self, x_BNC: torch.Tensor) -> torch.Tensor:
        return x_BNC.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TokenEncoder(nn.Module):
    """An activation map to one latent (Eq. 1): projection, a learned token first, encoder layers, final norm.

    The defaults of the last options give the paper's encoder. With ``stride`` the projection makes one cell out of
    stride x stride. With ``latents`` the cells are not updated: `latents` learned tokens attend to them and to each
    other in every layer, so the cost per layer grows with the latents, not with the cells. ``drop_path`` is the rate
    of the last layer, in proportion lower in earlier ones. With ``rays_N3`` positions are encoded from the rays of the
    cells, not from their indices.
    """

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
        mlp_dropout: float,
        stride: int = 1,
        latents: int = 0,
        drop_path: float = 0.0,
        rays_N3: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.latents = stride, latents
        self.project = nn.Conv2d(channels, width, kernel_size=stride, stride=stride)
        self.token = nn.Parameter(torch.zeros(1, max(latents, 1), width))
        grid = (-(-map_size[0] // stride), -(-map_size[1] // stride))
        check_cells(grid)
        self.position = PositionEncoding2d(grid, width) if rays_N3 is None else RayEncoding(rays_N3, width)
        rates = [drop_path * (index + 1) / layers for index in range(layers)]
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, mlp_width, dropout, attention_dropout, mlp_dropout, rate) for rate in rates
        )
        self.norm = nn.LayerNorm(width)
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, map_BCHW: torch.Tensor, with_attention: bool = False) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The token's final state (B, width), and on request its attention in the last layer (B, H_m, W_m).

        The attention map is the mean over the heads; with the tokens' attention to themselves its cells sum to 1.
        """
        spare = [-size % self.stride for size in map_BCHW.shape[-2:]]
        map_BCHW = self.project(F.pad(map_BCHW, (0, spare[1], 0, spare[0])) if any(spare) else map_BCHW)
        height_m, width_m = map_BCHW.shape[-2:]
        cells_BNC = map_BCHW.flatten(2).transpose(1, 2)
        tokens = self.token.shape[1]
        x = torch.cat((self.token.expand(len(cells_BNC), -1, -1), cells_BNC), dim=1)
        position = self.position((height_m, width_m))
        if tokens > 1:  # all latents share the token's position: they differ by what they have learnt
            position = torch.cat((position[:1].expand(tokens, -1), position[1:]))
        for layer in self.layers[:-1]:
            x = torch.cat((layer(x, position, tokens), cells_BNC), dim=1) if self.latents else layer(x, position)
        last: Any = self.layers[-1]
        attention = last.token_attention(x, position)[:, tokens:] if with_attention else None
        latent = self.norm(last(x, position, 1)[:, 0])  # the last state of the other entries is not used
        return latent, None if attention is None else attention.unflatten(-1, (height_m, width_m))


class PoseHead(nn.Sequential):
    """One hidden layer with GELU that regresses a pose component from a latent (TransPoseNet 3.1, "MLP Head")."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, outputs))

    def start_from(self, value: torch.Tensor) -> None:
        """Make `value` (outputs,) the last layer's bias."""
        last: Any = self[-1]
        last.bias.copy_(value)
