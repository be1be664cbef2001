"""Bayesian PoseNet: Kendall, Cipolla, "Modelling uncertainty in deep learning for camera relocalization", 2016."""

from __future__ import annotations

from typing import ClassVar

import torch

from transposenet_core.geometry.pose_averaging import mean_orientation, sample_covariance
from transposenet_core.models.allowed import Check, number, whole
from transposenet_core.models.posenet import PoseNet, Regressor

FLOOR = 1e-3  # metres and radians: no pose is more accurate here, and an EKF takes zero variance for certainty
SEED = 2016


class SampledRegressor(Regressor):
    """Dropout before and after the fully connected layer: random in training, with fixed masks at inference.

    The masks are generated once, from a separate seed: the same image gives the same output to the bit, on every
    machine and whatever else uses random numbers. The backbone has no dropout, so all samples share its one pass and
    each costs one small layer. (The paper has dropout on the last maps of its backbone as well; here it is on the
    vector that is pooled from them.)
    """

    before_SC: torch.Tensor
    after_SF: torch.Tensor

    def sample_masks(self, samples: int) -> None:
        """Generate the masks of this many samples."""
        layer, kept = self.feature[0], 1 - self.dropout.p
        generator = torch.Generator().manual_seed(SEED)
        for name, width in (("before_SC", layer.in_features), ("after_SF", layer.out_features)):
            chosen = torch.rand(samples, int(width), generator=generator, device="cpu") < kept  # type: ignore[arg-type]
            mask = chosen.float() / kept
            self.register_buffer(name, mask, persistent=False)

    def forward(self, pooled_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The pose of one thinned network in training, of the whole network otherwise."""
        return super().forward(self.dropout(pooled_BC))

    @property
    def latent_width(self) -> int:
        return self.feature[0].in_features  # type: ignore[return-value]

    def latent(self, pooled_BC: torch.Tensor) -> torch.Tensor:
        """The pooled vector itself: the samples differ from before the fully connected layer on."""
        return pooled_BC

    def poses_from_latents(
        self, position_latent_BL: torch.Tensor, orientation_latent_BL: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The mean, and ``covariance`` (B, 6, 6) of the samples: position, then rotation vector, along map axes."""
        position_BS3, orientation_BS4 = self.sampled(position_latent_BL)
        if orientation_latent_BL is not position_latent_BL:  # from an auto-encoder; those of an image are the same
            _, orientation_BS4 = self.sampled(orientation_latent_BL)
        position_B3, orientation_B4 = position_BS3.mean(dim=1), mean_orientation(orientation_BS4)
        covariance_B66 = sample_covariance(position_BS3, orientation_BS4, position_B3, orientation_B4)
        covariance_B66 = covariance_B66 + FLOOR**2 * torch.eye(6, dtype=torch.float64, device=position_B3.device)
        return {"position": position_B3, "orientation": orientation_B4.float(), "covariance": covariance_B66}

    def sampled(self, pooled_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions (B, S, 3) and orientations (B, S, 4), one for each mask."""
        return self.pose(self.feature(pooled_BC[:, None] * self.before_SC) * self.after_SF)


class BayesianPoseNet(PoseNet):
    """PoseNet that returns the mean of dropout samples and their covariance, the uncertainty of the network.

    The covariance does not contain errors that all samples share, so it is not a calibrated error of the pose: on
    RedKitchen it was a tenth of it (docs/experiments/model-family.md). Compare it with the validation error in
    scene.json before a filter relies on it.
    """

    OPTIONS: ClassVar[dict[str, str]] = PoseNet.OPTIONS | {
        "dropout": "before and after the last fully connected layer, in training and for the samples",
        "samples": "number of thinned networks whose poses give mean and covariance",
    }
    ALLOWED: ClassVar[dict[str, Check]] = PoseNet.ALLOWED | {
        "dropout": number(0, 1, above=True, below=True),  # samples differ only where it is above 0
        "samples": whole(7, 500),  # six numbers' covariance needs seven
    }
    REGRESSOR: ClassVar[type[Regressor]] = SampledRegressor

    def __init__(
        self,
        backbone: str = "googlenet",
        image_size: tuple[int, int] = (224, 224),
        feature_width: int = 2048,
        dropout: float = 0.5,
        auxiliary_dropout: float = 0.7,
        drop_connect: float = 0.2,
        samples: int = 40,
    ) -> None:
        super().__init__(backbone, image_size, feature_width, dropout, auxiliary_dropout, drop_connect)
        self.regressor.sample_masks(samples)  # type: ignore[operator]

    def convertible(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """The one pass that all samples share."""
        return {"latent": self.encode(image_B3HW)["position_latent"]}

    def finished(self, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The samples and their mean."""
        return self.regress({"position_latent": outputs["latent"], "orientation_latent": outputs["latent"]})
