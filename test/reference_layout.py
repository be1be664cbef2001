"""Networks whose state dicts have the names and shapes of the papers' public reference implementations.

Written independently with PyTorch's own attention: names and shapes are facts; a test needs a second implementation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from efficientnet_pytorch import EfficientNet
from torch import nn


class Layer(nn.Module):
    """A pre-norm layer: of an encoder, or, with `queries`, of a decoder."""

    def __init__(self, width: int, heads: int, hidden: int, queries: bool = False) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        if queries:
            self.multihead_attn, self.norm3 = nn.MultiheadAttention(width, heads, batch_first=True), nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(
        self,
        x: torch.Tensor,
        place: torch.Tensor,
        memory: torch.Tensor | None = None,
        cells: torch.Tensor | None = None,
    ) -> torch.Tensor:
        normed = self.norm1(x)
        x = x + self.self_attn(normed + place, normed + place, normed)[0]
        last = self.norm2
        if memory is not None:
            x = x + self.multihead_attn(self.norm2(x) + place, memory + cells, memory)[0]
            last = self.norm3
        return x + self.linear2(F.gelu(self.linear1(last(x))))


class Stack(nn.Module):
    def __init__(self, layers: int, *options: int, queries: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(*options, queries=queries) for _ in range(layers))
        self.norm = nn.LayerNorm(options[0])

    def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x, *others)
        return self.norm(x)


class Transformer(nn.Module):
    def __init__(self, encoder_layers: int, decoder_layers: int, *options: int) -> None:
        super().__init__()
        self.encoder = Stack(encoder_layers, *options)
        if decoder_layers:
            self.decoder = Stack(decoder_layers, *options, queries=True)


class Head(nn.Module):
    def __init__(self, width: int, outputs: int, prior: bool = False) -> None:
        super().__init__()
        self.fc_h, self.fc_o = nn.Linear(width, 48), nn.Linear(48, outputs)
        if prior:
            self.fc_h_prior = nn.Linear(2 * width, 48)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return self.fc_o(F.gelu((self.fc_h_prior if hasattr(self, "fc_h_prior") else self.fc_h)(latent)))


class Tables(nn.Module):
    """Of rows, columns and, with a token, its place: shared by both maps."""

    def __init__(self, width: int, entries: int, token: bool) -> None:
        super().__init__()
        self.row_embed, self.col_embed = nn.Embedding(entries, width // 2), nn.Embedding(entries, width // 2)
        if token:
            self.pose_token_embed = nn.Embedding(entries, width // 2)

    def forward(self, height: int, width: int) -> torch.Tensor:
        """(cells, or a token and cells; width)."""
        first = int(hasattr(self, "pose_token_embed"))
        place = torch.arange(height * width)
        columns, rows = self.col_embed(first + place % width), self.row_embed(first + place // width)
        cells = torch.cat((columns, rows), dim=1)
        return torch.cat((self.pose_token_embed.weight[:1].repeat(1, 2), cells)) if first else cells


class Body(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.body = EfficientNet.from_name(name, image_size=224)


class Reference(nn.Module):
    """TransPoseNet, or with `scenes` the multi-scene Transformer. Batch norms have seen an image."""

    def __init__(
        self,
        heads: int = 8,
        width: int = 64,
        layers: int = 2,
        prior: bool = False,
        scenes: int = 0,
        backbone: str = "efficientnet-b0",
    ) -> None:
        super().__init__()
        self.scenes, self.prior = scenes, prior
        self.backbone = nn.Sequential(Body(backbone), Tables(width, 50 if scenes else 60, token=not scenes))
        for branch, channels, outputs in (("t", 112, 3), ("rot", 40, 4)):
            fewer = layers - 1 if scenes and branch == "rot" else layers
            setattr(self, f"input_proj_{branch}", nn.Conv2d(channels, width, 1))
            transformer = Transformer(fewer, layers if scenes else 0, width, heads, 32)
            setattr(self, f"transformer_{branch}", transformer)
            setattr(self, f"regressor_head_{branch}", Head(width, outputs, prior and branch == "rot"))
            if scenes:
                setattr(self, f"query_embed_{branch}", nn.Embedding(scenes, width))
            else:
                setattr(self, f"pose_token_embed_{branch}", nn.Parameter(torch.randn(1, width)))
        if scenes:
            self.scene_embed = nn.Linear(2 * width, 1)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if ".norm" in name or name.endswith(
                    "bias"
                ):  # with the initial values a missing one would not be noticed
                    parameter.add_(0.3 * torch.randn_like(parameter))
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = None  # the image's own statistics, or all outputs would be alike
            self.train()._maps(torch.rand(2, 3, 224, 224))
        self.eval()

    def _maps(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = self.backbone[0].body.extract_endpoints(image)
        return {"t": maps["reduction_4"], "rot": maps["reduction_3"]}

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        latents = {}
        for branch, found in self._maps(image).items():
            cells = getattr(self, f"input_proj_{branch}")(found).flatten(2).mT
            place = self.backbone[1](*found.shape[-2:])
            transformer = getattr(self, f"transformer_{branch}")
            if self.scenes:
                query = getattr(self, f"query_embed_{branch}").weight
                memory = transformer.encoder(cells, place)
                asked = torch.zeros(len(image), *query.shape)
                latents[branch] = transformer.decoder(asked, query, memory, place)
            else:
                token = getattr(self, f"pose_token_embed_{branch}").expand(len(image), 1, -1)
                latents[branch] = transformer.encoder(torch.cat((token, cells), dim=1), place)[:, 0]
        output = {}
        if self.scenes:
            output["scene"] = self.scene_embed(torch.cat((latents["t"], latents["rot"]), dim=-1)).squeeze(-1).argmax(-1)
            latents = {branch: latent[range(len(image)), output["scene"]] for branch, latent in latents.items()}
        seen = torch.cat((latents["t"], latents["rot"]), dim=-1) if self.prior else latents["rot"]
        output["position"] = self.regressor_head_t(latents["t"])
        return output | {"orientation": F.normalize(self.regressor_head_rot(seen), dim=-1)}
