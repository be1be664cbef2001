"""Several scenes in one network.

Shavit, Ferens, Keller, "Coarse-to-Fine Multi-Scene Pose Regression with Transformers", 2023: sections III-A and III-B,
and III-C with clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.models import allowed
from transposenet_core.models.allowed import Check, one_of, or_none, whole
from transposenet_core.models.backbone import backbone_names, build_backbone, map_size
from transposenet_core.models.contract import PoseModel, ScenePoses
from transposenet_core.models.pose_clusters import orientation_clusters, plausible_positions, position_clusters
from transposenet_core.models.scene_queries import ClusterHead, SceneTransformer


class MultiSceneTransformer(nn.Module, PoseModel):
    """Two Transformers over two activation maps of one backbone, with one query per scene; the scene is classified.

    The scenes share the heads. What they regress is added to the mean pose of the scene, or of one of its clusters,
    from the training labels: maps may lie kilometres apart. Each cluster has its own output, and the cluster is
    classified.
    """

    LOSS: ClassVar[str] = "scenes"
    TAKES_SCENES: ClassVar[bool] = True
    HAS_LATENTS: ClassVar[bool] = True
    SILENT_OPTIONS: ClassVar[tuple[str, ...]] = ("heads",)
    OPTIONS: ClassVar[dict[str, str]] = {
        "backbone": "as of transposenet",
        "image_size": "(height, width) that the position tables are made for; train.py sets it from `image`",
        "scenes": "number of scenes; train.py sets it from `--data`",
        "position_level": "reduction level of the map for the position (section III-A, as transposenet)",
        "orientation_level": "the same for the orientation",
        "encoder_layers": "of either Transformer (section III-A)",
        "decoder_layers": "the same of its decoder",
        "orientation_encoder_layers": "of the orientation's; None: as `encoder_layers` (7-Scenes: 4 of 6)",
        "orientation_decoder_layers": "the same of its decoder",
        "heads": "attention heads",
        "width": "of cells and latents",
        "mlp_width": "hidden units of a layer's MLP",
        "head_width": "hidden units of the pose heads",
        "dropout": "on the residual branches of each layer",
        "attention_dropout": "on attention weights; prevents fused attention",
        "mlp_dropout": "inside a layer's MLP; None: as `dropout`",
        "drop_connect": "rate of EfficientNet's last block",
        "position_clusters": "centres of each scene's positions (section III-C); 1: its mean position",
        "orientation_clusters": "the same of its orientations",
    }
    ALLOWED: ClassVar[dict[str, Check]] = {
        "backbone": one_of(*backbone_names()),
        "image_size": allowed.window,
        "scenes": whole(1, allowed.MOST_SCENES),
        "position_level": allowed.LEVEL,
        "orientation_level": allowed.LEVEL,
        "encoder_layers": allowed.LAYERS,
        "decoder_layers": allowed.LAYERS,
        "orientation_encoder_layers": or_none(allowed.LAYERS),
        "orientation_decoder_layers": or_none(allowed.LAYERS),
        "heads": allowed.HEADS,
        "width": allowed.WIDTH,
        "mlp_width": allowed.HIDDEN,
        "head_width": allowed.HIDDEN,
        "dropout": allowed.SHARE,
        "attention_dropout": allowed.SHARE_BELOW_1,
        "mlp_dropout": or_none(allowed.SHARE),
        "drop_connect": allowed.SHARE_BELOW_1,
        "position_clusters": whole(1, 100),
        "orientation_clusters": whole(1, 100),
    }

    def __init__(
        self,
        backbone: str = "efficientnet-b0",
        image_size: tuple[int, int] = (224, 224),
        scenes: int = 1,
        position_level: int = 4,
        orientation_level: int = 3,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        orientation_encoder_layers: int | None = None,
        orientation_decoder_layers: int | None = None,
        heads: int = 4,
        width: int = 256,
        mlp_width: int = 256,
        head_width: int = 1024,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        mlp_dropout: float | None = None,
        drop_connect: float = 0.2,
        position_clusters: int = 1,
        orientation_clusters: int = 1,
    ) -> None:
        super().__init__()
        if orientation_encoder_layers is None:
            orientation_encoder_layers = encoder_layers
        if orientation_decoder_layers is None:
            orientation_decoder_layers = decoder_layers
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.latent_width = width
        self.scenes, self.position_level, self.orientation_level = scenes, position_level, orientation_level
        self.backbone = build_backbone(backbone, tuple({position_level, orientation_level}), drop_connect)

        def transformer(level: int, encoder_layers: int, decoder_layers: int) -> SceneTransformer:
            return SceneTransformer(
                channels=self.backbone.channels[level],
                map_size=map_size(self.image_size, level),
                scenes=scenes,
                encoder_layers=encoder_layers,
                decoder_layers=decoder_layers,
                heads=heads,
                width=width,
                mlp_width=mlp_width,
                dropout=dropout,
                attention_dropout=attention_dropout,
                mlp_dropout=dropout if mlp_dropout is None else mlp_dropout,
            )

        self.position_transformer = transformer(position_level, encoder_layers, decoder_layers)
        self.orientation_transformer = transformer(
            orientation_level, orientation_encoder_layers, orientation_decoder_layers
        )
        self.scene = nn.Linear(2 * width, 1, bias=False) if scenes > 1 else None
        self.position = ClusterHead(width, head_width, scenes, position_clusters, 3)
        self.orientation = ClusterHead(width, head_width, scenes, orientation_clusters, 4)

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """``position`` (B, 3) in metres and ``orientation`` (B, 4), a unit quaternion w x y z: ``T_map_camera`` in the
        map of ``scene`` (B,), the likeliest by ``scene_log_probability`` (B, S).

        For every scene ``scene_positions`` (B, S, 3) and ``scene_orientations`` (B, S, 4), those of its likeliest
        cluster, by ``position_cluster_log_probability`` and ``orientation_cluster_log_probability`` (B, S, K); for
        every cluster ``cluster_positions`` (B, S, K, 3) and ``cluster_orientations`` (B, S, K, 4).
        """
        x_latent_BSC, q_latent_BSC, scene_log_probability_BS = self._latents(image_B3HW)
        # Under autocast the heads stay in float32: bfloat16 resolves a position of 3 m to 1 cm at best.
        with torch.autocast(image_B3HW.device.type, enabled=False):
            position_BSK3, position_cluster_BSK = self.position(x_latent_BSC)
            orientation_BSK4, orientation_cluster_BSK = self.orientation(q_latent_BSC)
            orientation_BSK4 = F.normalize(orientation_BSK4, dim=-1)
        scene_B = scene_log_probability_BS.argmax(dim=-1)
        positions_BS3 = _chosen(position_BSK3, position_cluster_BSK.argmax(dim=-1))
        orientations_BS4 = _chosen(orientation_BSK4, orientation_cluster_BSK.argmax(dim=-1))
        return {
            "position": _chosen(positions_BS3, scene_B),
            "orientation": _chosen(orientations_BS4, scene_B),
            "scene": scene_B,
            "scene_log_probability": scene_log_probability_BS,
            "scene_positions": positions_BS3,
            "scene_orientations": orientations_BS4,
            "position_cluster_log_probability": position_cluster_BSK,
            "orientation_cluster_log_probability": orientation_cluster_BSK,
            "cluster_positions": position_BSK3,
            "cluster_orientations": orientation_BSK4,
        }

    def encode(
        self, image_B3HW: torch.Tensor, with_attention: bool = False, scene_B: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The inputs of the heads for one scene, `scene_B` (B,) or the likeliest: ``position_latent`` and
        ``orientation_latent`` (B, width), ``scene`` (B,), and ``scene_log_probability`` (B, S). There are no attention
        maps."""
        x_latent_BSC, q_latent_BSC, scene_log_probability_BS = self._latents(image_B3HW)
        scene_B = scene_log_probability_BS.argmax(dim=-1) if scene_B is None else scene_B
        return {
            "position_latent": _chosen(x_latent_BSC, scene_B),
            "orientation_latent": _chosen(q_latent_BSC, scene_B),
            "scene": scene_B,
            "scene_log_probability": scene_log_probability_BS,
        }

    def regress(self, latents: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """``position``, ``orientation`` and the scene outputs, as `forward`, from what `encode` returns."""
        scene_B1 = latents["scene"][:, None]
        with torch.autocast(scene_B1.device.type, enabled=False):
            position_B1K3, position_cluster_B1K = self.position(latents["position_latent"][:, None], scene_B1)
            orientation_B1K4, orientation_cluster_B1K = self.orientation(
                latents["orientation_latent"][:, None], scene_B1
            )
        position_B13 = _chosen(position_B1K3, position_cluster_B1K.argmax(dim=-1))
        orientation_B14 = _chosen(orientation_B1K4, orientation_cluster_B1K.argmax(dim=-1))
        output = {"position": position_B13[:, 0], "orientation": F.normalize(orientation_B14[:, 0], dim=-1)}
        return output | {name: value for name, value in latents.items() if name.startswith("scene")}

    def _latents(self, image_B3HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The latents of every scene's query for position and orientation (B, S, width), and the log-probabilities
        of the scenes (B, S)."""
        maps = self.backbone(image_B3HW)
        x_latent_BSC = self.position_transformer(maps[self.position_level])
        q_latent_BSC = self.orientation_transformer(maps[self.orientation_level])
        with torch.autocast(image_B3HW.device.type, enabled=False):
            x_latent_BSC, q_latent_BSC = x_latent_BSC.float(), q_latent_BSC.float()
            score_BS = torch.zeros_like(x_latent_BSC[..., 0])
            if self.scene is not None:
                score_BS = self.scene(torch.cat((x_latent_BSC, q_latent_BSC), dim=-1))[..., 0]
            return x_latent_BSC, q_latent_BSC, F.log_softmax(score_BS, dim=-1)

    @torch.no_grad()
    def start_from_poses(self, poses: Sequence[ScenePoses]) -> None:
        """Take each scene's centres from its training labels, positions (N, 3) and orientations (N, 4).

        ValueError if their number is not that of the network's scenes, or a scene has too few poses for the clusters.
        """
        if len(poses) != self.scenes:
            raise ValueError(f"{len(poses)} scenes are given, the network is for {self.scenes}")
        for scene, (positions_N3, orientations_N4) in enumerate(poses):
            kept_N = plausible_positions(positions_N3)
            try:
                x_centre = position_clusters(positions_N3[kept_N], self.position.clusters)
                q_centre = orientation_clusters(orientations_N4[kept_N], self.orientation.clusters)
            except ValueError as error:
                raise ValueError(f"scene {scene + 1} of {self.scenes}: {error}") from None
            self.position.centre_SKP[scene] = torch.from_numpy(x_centre)
            self.orientation.centre_SKP[scene] = torch.from_numpy(q_centre)


def _chosen(x_BxNC: torch.Tensor, index_Bx: torch.Tensor) -> torch.Tensor:
    """Row `index` of the last but one axis."""
    index = index_Bx[..., None, None].expand(*index_Bx.shape, 1, x_BxNC.shape[-1])
    return x_BxNC.gather(-2, index).squeeze(-2)
