"""Image retrieval as a pose regressor: the baseline that every regressor should exceed.

Sattler, Zhou, Pollefeys, Leal-Taixe, "Understanding the limitations of CNN-based absolute camera pose regression",
2019, section 5: the pose is the combination of the nearest training poses whose descriptors explain the query's best.
It is the "IR baseline" of TransPoseNet's Tables 1 to 3. That takes DenseVLAD; here a descriptor is a thumbnail or a
backbone's pooled map.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.geometry.pose_averaging import mean_orientation
from transposenet_core.models import allowed
from transposenet_core.models.allowed import Check, number, one_of, whole
from transposenet_core.models.contract import PoseModel
from transposenet_core.models.posenet_backbones import build_posenet_backbone, posenet_backbone_names
from transposenet_core.preprocessing import IMAGENET_MEAN, IMAGENET_STD

THUMBNAIL = (24, 32)
LUMA = (0.299, 0.587, 0.114)
COLOUR_WEIGHT = 4.0  # a chroma of 0.25 counts as much as a standard deviation of the lightness
POOLING = 3.0  # generalised mean (Radenovic, Tolias, Chum, "Fine-tuning CNN image retrieval", 2018, Eq. 3)
MOST_IMAGES = 1_000_000
MEMORY = ("descriptors_ND", "positions_N3", "orientations_N4")  # buffers


class Retrieval(nn.Module, PoseModel):
    """Descriptors of the training images with their poses; there is no gradient, one epoch is enough.

    Nearest neighbours by scikit-learn, on the CPU. The memory is part of the weights, so a scene model contains it.
    """

    LOSS: ClassVar[str] = "none"
    MEMORISES: ClassVar[bool] = True
    OPTIONS: ClassVar[dict[str, str]] = {
        "backbone": "none: a thumbnail is the descriptor; else a backbone of posenet, which needs backbone.weights",
        "image_size": "(height, width) of the image; train.py sets it from `image`",
        "neighbours": "training images that a pose is combined from; 1: the pose of the nearest one",
        "ridge": "added to the diagonal of the fit of their weights, as a share of its mean",
        "candidates": "nearest training images of whose poses refinement tries some; 0: the combined pose alone",
    }
    ALLOWED: ClassVar[dict[str, Check]] = {
        "backbone": one_of("none", *posenet_backbone_names()),
        "image_size": allowed.window,
        "neighbours": whole(1, 1000),
        "ridge": number(0, 1e6, above=True),
        "candidates": whole(0, 1000),
    }

    descriptors_ND: torch.Tensor
    positions_N3: torch.Tensor
    orientations_N4: torch.Tensor

    def __init__(
        self,
        backbone: str = "none",
        image_size: tuple[int, int] = (224, 224),
        neighbours: int = 20,
        ridge: float = 0.01,
        candidates: int = 0,
    ) -> None:
        super().__init__()
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.neighbours, self.ridge, self.candidates = neighbours, float(ridge), candidates
        self.backbone: Any = None if backbone == "none" else build_posenet_backbone(backbone, 0.0)
        for name, width in zip(MEMORY, (self.descriptor_width, 3, 4), strict=True):
            self.register_buffer(name, torch.zeros(0, width))
        self._index: Any = None

    @property
    def descriptor_width(self) -> int:
        """D of `descriptor`."""
        return [*self.backbone.channels.values()][-1] if self.backbone else 3 * THUMBNAIL[0] * THUMBNAIL[1]

    def descriptor(self, image_B3HW: torch.Tensor) -> torch.Tensor:
        """Unit vectors (B, D) of images as `normalise` makes them."""
        if self.backbone is None:
            return thumbnails(image_B3HW)
        self.backbone.eval()
        *_, map_BCHW = self.backbone(image_B3HW).values()
        pooled_BC = map_BCHW.float().clamp(min=1e-6).pow(POOLING).mean(dim=(2, 3)).pow(1 / POOLING)
        return F.normalize(pooled_BC, dim=-1)

    @torch.no_grad()
    def memorise(self, image_B3HW: torch.Tensor, position_B3: torch.Tensor, orientation_B4: torch.Tensor) -> None:
        """Add training images and their poses to the memory."""
        known = self.descriptors_ND
        descriptor_BD = self.descriptor(image_B3HW)
        self.descriptors_ND = torch.cat((known, descriptor_BD)) if len(known) else descriptor_BD
        self.positions_N3 = torch.cat((self.positions_N3, position_B3))
        self.orientations_N4 = torch.cat((self.orientations_N4, orientation_B4))
        self._index = None

    def forget(self) -> None:
        """Empty the memory."""
        self.descriptors_ND, self._index = self.descriptors_ND[:0], None
        self.positions_N3, self.orientations_N4 = self.positions_N3[:0], self.orientations_N4[:0]

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``position`` (B, 3) and ``orientation`` (B, 4), `T_map_camera`; ``neighbours`` (B, k), indices in the memory,
        nearest first, and their ``weights`` (B, k), which add up to 1 and may be negative; where there are candidates,
        ``candidate_position`` (B, c, 3) and ``candidate_orientation`` (B, c, 4).

        ValueError if the memory is empty.
        """
        return self.finished(self.convertible(image_B3HW))

    @property
    def converts(self) -> bool:  # type: ignore[override]
        return self.backbone is not None

    def convertible(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``descriptor`` (B, D)."""
        return {"descriptor": self.descriptor(image_B3HW)}

    def finished(self, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` from the descriptors of the images."""
        query_BD = outputs["descriptor"].double()
        known_Bk = self._nearest(query_BD)
        near_Bk = known_Bk[:, : self.neighbours]
        weight_Bk = affine_weights(query_BD, self.descriptors_ND[near_Bk].double(), self.ridge)
        position_B3 = torch.einsum("bk,bkd->bd", weight_Bk, self.positions_N3[near_Bk].double())
        orientation_B4 = mean_orientation(self.orientations_N4[near_Bk], weight_Bk)
        pose = {"position": position_B3.float(), "orientation": orientation_B4.float()}
        candidates = {} if self.candidates == 0 else self._candidates(known_Bk[:, : self.candidates])
        return pose | {"neighbours": near_Bk, "weights": weight_Bk} | candidates

    def _candidates(self, near_Bk: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "candidate_position": self.positions_N3[near_Bk],
            "candidate_orientation": self.orientations_N4[near_Bk],
        }

    def _nearest(self, query_BD: torch.Tensor) -> torch.Tensor:
        if not len(self.descriptors_ND):
            raise ValueError("the memory holds no images; train for one epoch, or load a scene model")
        if self._index is None:
            from sklearn.neighbors import NearestNeighbors  # takes a second to import, and no other model needs it

            count = min(max(self.neighbours, self.candidates), len(self.descriptors_ND))
            self._index = NearestNeighbors(n_neighbors=count).fit(self.descriptors_ND.detach().double().cpu().numpy())
        near_Bk = self._index.kneighbors(query_BD.detach().cpu().numpy(), return_distance=False)
        return torch.from_numpy(near_Bk).to(self.descriptors_ND.device)

    def open_shapes(self) -> dict[str, tuple[int | range, ...]]:
        """Of the memory: as many images as were shown, and descriptors as wide as the network makes them."""
        count = range(MOST_IMAGES + 1)
        return {name: (count, width) for name, width in zip(MEMORY, (self.descriptor_width, 3, 4), strict=True)}

    def check_loaded(self) -> None:
        """One descriptor and one pose of each image, all finite, and of one image at least: the search for neighbours
        takes nothing else."""
        counts = {name: len(getattr(self, name)) for name in MEMORY}
        if len(set(counts.values())) != 1 or not len(self.positions_N3):
            raise ValueError(f"the memory holds {counts}, as many of each are needed and one at least")
        if not all(getattr(self, name).isfinite().all() for name in MEMORY):
            raise ValueError("the memory holds a number that is not finite")

    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Does nothing: without images there is no pose."""

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Allocate memory for as many images as the file holds."""
        for name in MEMORY:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=getattr(self, name).device))
        self._index = None
        super()._load_from_state_dict(state_dict, prefix, *args)


def thumbnails(image_B3HW: torch.Tensor) -> torch.Tensor:
    """Unit vectors (B, 2304) of images as `normalise` makes them: lightness without brightness and contrast, and
    two chromas, at 24 x 32."""
    small = F.interpolate(image_B3HW.float(), THUMBNAIL, mode="bilinear", antialias=True, align_corners=False)
    mean, std, luma = (small.new_tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD, LUMA))
    rgb = small * std + mean
    light = (rgb * luma).sum(dim=1, keepdim=True)
    chroma = (rgb - light)[:, ::2]  # red and blue
    light = (light - light.mean(dim=(2, 3), keepdim=True)) / (light.std(dim=(2, 3), keepdim=True) + 1e-3)
    return F.normalize(torch.cat((light, COLOUR_WEIGHT * chroma), dim=1).flatten(1), dim=-1)


def affine_weights(query_BD: torch.Tensor, near_BkD: torch.Tensor, ridge: float) -> torch.Tensor:
    """Weights (B, k) with sum 1 that minimise ``|query - sum w_i near_i|^2`` and `ridge` times their own size.

    In closed form by the Gram matrix of the differences (Roweis, Saul, "Nonlinear dimensionality reduction by locally
    linear embedding", 2000, note 18). A neighbour that equals the query gets nearly all of the weight.
    """
    away_BkD = near_BkD - query_BD[:, None]
    gram_Bkk = away_BkD @ away_BkD.mT
    mean_B = gram_Bkk.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    unit_kk = torch.eye(gram_Bkk.shape[-1], dtype=gram_Bkk.dtype, device=gram_Bkk.device)
    gram_Bkk = gram_Bkk + (ridge * mean_B + 1e-12)[:, None, None] * unit_kk
    weight_Bk = torch.linalg.solve(gram_Bkk, torch.ones_like(gram_Bkk[..., 0]))
    return weight_Bk / weight_Bk.sum(dim=-1, keepdim=True)
