"""Camera pose auto-encoder: from a pose to the latents that a trained network, its teacher, computes from its image.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from transposenet_core import checked
from transposenet_core.models import allowed
from transposenet_core.models.affine_refinement import combined_position, pose_distance
from transposenet_core.models.allowed import Check, entries, number, whole
from transposenet_core.models.contract import PoseModel, ScenePoses
from transposenet_core.models.pose_decoder import PoseDecoder
from transposenet_core.models.registry import build_teacher, model_class

OCTAVES = 6  # of the Fourier features: 2^0 to 2^5
HIDDEN = (64, 128, 256)
MOST_LATENTS = 2**27  # numbers in those of all training poses: 512 MB


class PoseEncoder(nn.Module):
    """One half of a pose (B, C), of the order of 1, to its latent (B, `width`): Fourier features and an MLP."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = (channels * (1 + 2 * OCTAVES), *HIDDEN)
        layers: list[nn.Module] = []
        for wide, wider in pairwise(sizes):
            layers += [nn.Linear(wide, wider), nn.ReLU(inplace=True)]
        self.mlp = nn.Sequential(*layers, nn.Linear(HIDDEN[-1], width))

    def forward(self, value_BC: torch.Tensor) -> torch.Tensor:
        return self.mlp(fourier_features(value_BC))


def fourier_features(value_BC: torch.Tensor) -> torch.Tensor:
    """(B, 13 C): the value, and sine and cosine of its 1, 2, 4, ... 32-fold in radians."""
    octaves = [value_BC * 2.0**octave for octave in range(OCTAVES)]
    return torch.cat((value_BC, *(part for v in octaves for part in (v.sin(), v.cos()))), dim=-1)


class PoseAutoencoder(nn.Module, PoseModel):
    """A trained network, the teacher, with the auto-encoder, the training poses and optionally a decoder.

    The teacher gives the first estimate; then the position is refined by test-time optimisation (`affine_refinement`)
    among the training poses of the estimated scene; the orientation is not changed. A teacher has ``encode`` (images to
    a dictionary with ``position_latent`` and ``orientation_latent`` (B, ``latent_width``), with several scenes also
    ``scene`` (B,) int64, the likeliest or the given one), and ``regress`` from that to its output. It stays frozen.
    """

    OPTIONS: ClassVar[dict[str, str]] = {
        "teacher": "name of the trained network; train.py sets it and all but the last three from the key `teacher`",
        "teacher_options": "its options",
        "image_size": "(height, width) of its images",
        "centres": "per scene, the training positions' median along each axis: subtracted from a position (metres)",
        "scales": "per scene, the metres that a position is then divided by",
        "poses": "number of training poses that are kept",
        "neighbours": "training poses that a position is combined from (the paper: 3); 0: no test-time optimisation; "
        "-1: chosen on the held-out frames",
        "ridge": "of the combination's fit, as a share of its mean; 0: chosen on the held-out frames",
        "decoder": "whether images can be rendered at poses; train.py sets it from decoder.epochs",
    }
    ALLOWED: ClassVar[dict[str, Check]] = {
        "teacher": checked.text,
        "teacher_options": allowed.nested,
        "image_size": allowed.window,
        "centres": entries(1, allowed.MOST_SCENES, entries(3, 3, number(-checked.LARGEST, checked.LARGEST))),
        "scales": entries(1, allowed.MOST_SCENES, number(0, checked.LARGEST, above=True)),
        "poses": whole(0, allowed.MOST_POSES),
        "neighbours": whole(-1, 1000),
        "ridge": number(0, 1e6),
        "decoder": allowed.flag,
    }

    LEARNS_FROM: ClassVar[Literal["images", "teacher"]] = "teacher"

    positions_N3: torch.Tensor
    orientations_N4: torch.Tensor
    scenes_N: torch.Tensor
    centres_S3: torch.Tensor
    scales_S: torch.Tensor

    def __init__(
        self,
        teacher: str = "transposenet_fast",
        teacher_options: dict | None = None,
        image_size: tuple[int, int] = (224, 224),
        centres: Sequence[Sequence[float]] = ((0.0, 0.0, 0.0),),
        scales: Sequence[float] = (1.0,),
        poses: int = 0,
        neighbours: int = -1,
        ridge: float = 0.0,
        decoder: bool = False,
    ) -> None:
        super().__init__()
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.neighbours, self.ridge = neighbours, float(ridge)
        self.teacher = build_teacher(teacher, {"image_size": list(self.image_size), **(teacher_options or {})})
        self.backbone, self.has_attention = None, self.teacher.has_attention
        width = self.teacher.latent_width
        if poses * width > MOST_LATENTS:
            raise ValueError(f"poses is {poses}, with latents of {width} numbers {MOST_LATENTS // width} are allowed")
        # Where a position lies in its scene stands in the description: half-precision weights would move it.
        for name, value in (("centres_S3", centres), ("scales_S", scales)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64), persistent=False)
        self.scenes = len(scales)
        self.several = self.scenes > 1
        if self.scenes != self.teacher.scenes:
            raise ValueError(f"centres and scales are of {self.scenes} scenes, the teacher has {self.teacher.scenes}")
        self.position_encoder = PoseEncoder(3 + self.several, width)
        self.orientation_encoder = PoseEncoder(4 + self.several, width)
        self.decoder = PoseDecoder(2 * width) if decoder else None
        self.register_buffer("positions_N3", torch.zeros(poses, 3))
        self.register_buffer("orientations_N4", torch.zeros(poses, 4))
        self.register_buffer("scenes_N", torch.zeros(poses, dtype=torch.int64))
        self._known_latents_NC: torch.Tensor | None = None
        self._most_neighbours: int | None = None

    @classmethod
    def has_fixed_window(cls, options: Mapping[str, Any]) -> bool:
        """If that of the teacher is fixed."""
        teacher = options.get("teacher")
        return bool(teacher) and model_class(str(teacher)).has_fixed_window(options.get("teacher_options") or {})

    @property
    def can_render(self) -> bool:  # type: ignore[override]
        return self.decoder is not None

    def start_from_poses(self, poses: Sequence[ScenePoses]) -> None:
        """Does nothing: the teacher is trained already."""

    def check_loaded(self) -> None:
        """Every training pose is of a scene that there is."""
        if not ((self.scenes_N >= 0) & (self.scenes_N < self.scenes)).all():
            raise ValueError(f"scenes_N names a scene that is none of the {self.scenes}")
        self.teacher.check_loaded()

    @property
    def most_neighbours(self) -> int:
        """The training poses of the smallest scene: more neighbours would belong to another scene."""
        if self._most_neighbours is None:
            self._most_neighbours = int(torch.bincount(self.scenes_N, minlength=self.scenes).min())
        return self._most_neighbours

    def train(self, mode: bool = True) -> PoseAutoencoder:
        """The teacher always runs in inference mode; the latents of the training poses are recomputed."""
        super().train(mode)
        self.teacher.eval()
        self._known_latents_NC = self._most_neighbours = None
        return self

    def forward(self, image_B3HW: torch.Tensor, with_attention: bool = False) -> dict[str, torch.Tensor]:
        """The teacher's output with ``position`` (B, 3) refined; with attention also the teacher's attention maps."""
        return self.poses_from_latents(self.teacher.encode(image_B3HW, with_attention))

    def convertible(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """The teacher's latents."""
        return self.teacher.encode(image_B3HW)

    def finished(self, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` from these latents."""
        return self.poses_from_latents(outputs)

    def poses_from_latents(self, latents: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` if the teacher has computed these latents."""
        output = self.teacher.regress(latents)
        count = min(self.neighbours, self.most_neighbours)
        if count < 1:
            return output
        scene_B = latents.get("scene", torch.zeros(len(output["position"]), dtype=torch.int64)).to(self.scenes_N.device)
        known = (self.positions_N3, self.orientations_N4)
        scale_B = self.scales_S[scene_B].float()
        distance_BN = pose_distance(output["position"], output["orientation"], *known, scale_B)
        distance_BN = distance_BN.masked_fill(scene_B[:, None] != self.scenes_N, float("inf"))
        near_Bk = distance_BN.topk(count, largest=False).indices
        near = self._known_latents()[near_Bk], self.positions_N3[near_Bk]
        return output | {"position": combined_position(latents["position_latent"], *near, self.ridge)}

    @torch.no_grad()
    def _known_latents(self) -> torch.Tensor:
        """Position latents (N, width) of the training poses: once after `train` or `eval`, or for another device."""
        if self._known_latents_NC is None or self._known_latents_NC.device != self.positions_N3.device:
            self._known_latents_NC = self.position_latents(self.positions_N3, self.scenes_N)
        return self._known_latents_NC

    def latents(
        self, position_B3: torch.Tensor, orientation_B4: torch.Tensor, scene_B: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The latents that the teacher should compute from images at poses ``T_map_camera``; q and -q give the same."""
        scene_B = torch.zeros_like(position_B3[:, 0], dtype=torch.int64) if scene_B is None else scene_B
        rotated_B4 = torch.where(orientation_B4[:, :1] < 0, -orientation_B4, orientation_B4)
        return {
            "position_latent": self.position_latents(position_B3, scene_B),
            "orientation_latent": self.orientation_encoder(self._with_scene(rotated_B4, scene_B)),
            "scene": scene_B,
        }

    def position_latents(self, position_B3: torch.Tensor, scene_B: torch.Tensor) -> torch.Tensor:
        """Latents (B, width) of positions in metres."""
        normal_B3 = (position_B3.double() - self.centres_S3[scene_B]) / self.scales_S[scene_B, None]
        return self.position_encoder(self._with_scene(normal_B3.float(), scene_B))

    def _with_scene(self, value_BC: torch.Tensor, scene_B: torch.Tensor) -> torch.Tensor:
        """The scene's index, scaled to -1 to 1, appended if there are several."""
        if not self.several:
            return value_BC
        place_B1 = 2 * scene_B[:, None].to(value_BC.dtype) / (self.scenes - 1) - 1
        return torch.cat((value_BC, place_B1), dim=-1)

    def render(
        self, position_B3: torch.Tensor, orientation_B4: torch.Tensor, scene_B: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Images (B, 3, 64, 64), RGB from 0 to 1, of the window as expected at poses; ValueError without a
        decoder."""
        if self.decoder is None:
            raise ValueError("this auto-encoder has no decoder")
        latents = self.latents(position_B3, orientation_B4, scene_B)
        return self.decoder(torch.cat((latents["position_latent"], latents["orientation_latent"]), dim=-1))
