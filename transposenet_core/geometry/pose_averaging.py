"""Means of poses, in torch, batch by batch: over test crops, dropout samples, or retrieved images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from transposenet_core.geometry.quaternions import leading_eigenvector, rotation_vectors

MOST_PIXELS_AT_ONCE = 2**20  # of images' windows: activations of all of PoseNet's 128 would take gigabytes


def mean_orientation(orientation_BN4: torch.Tensor, weight_BN: torch.Tensor | None = None) -> torch.Tensor:
    """The weighted chordal mean (B, 4) of quaternions w x y z of any length and sign, with w >= 0, float64.

    It is the eigenvector with the largest eigenvalue of ``sum w q q^T`` (Markley et al., "Averaging quaternions", 2007,
    Eq. 12 and 13), in which q and -q are one rotation; the sum of quaternions is something else, which depends on their
    signs. Weights may be negative, as those of an affine combination are.
    """
    q_BN4 = torch.nn.functional.normalize(orientation_BN4.double(), dim=-1)
    weight_BN = torch.ones_like(q_BN4[..., 0]) if weight_BN is None else weight_BN.double()
    moment_B44 = torch.einsum("bn,bni,bnj->bij", weight_BN, q_BN4, q_BN4)
    mean_B4 = leading_eigenvector(moment_B44)
    return torch.where(mean_B4[:, :1] < 0, -mean_B4, mean_B4)


def sample_covariance(
    position_BN3: torch.Tensor, orientation_BN4: torch.Tensor, mean_B3: torch.Tensor, mean_B4: torch.Tensor
) -> torch.Tensor:
    """Covariance (B, 6, 6) of pose samples about their mean: position in metres, then the rotation vector in radians
    that takes the mean to the sample, both along the axes of the map. Divided by N - 1."""
    rotation_BN3 = rotation_vectors(orientation_BN4.double(), mean_B4.double()[:, None])
    away_BN6 = torch.cat((position_BN3.double() - mean_B3.double()[:, None], rotation_BN3), dim=-1)
    return away_BN6.mT @ away_BN6 / max(away_BN6.shape[1] - 1, 1)


def output_of_images(
    network: Callable[..., dict[str, torch.Tensor]], view_B3HW: torch.Tensor, images: int, **asked: bool
) -> dict[str, torch.Tensor]:
    """A network's output for images, an image's views in a row, as `mean_over_views` returns it. Where there are
    several views of each, at most MOST_PIXELS_AT_ONCE are in the network at a time."""
    several = len(view_B3HW) > images
    most = max(1, MOST_PIXELS_AT_ONCE // math.prod(view_B3HW.shape[-2:])) if several else len(view_B3HW)
    parts = [network(part_B3HW, **asked) for part_B3HW in view_B3HW.split(most)]
    whole = parts[0] if len(parts) == 1 else {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return mean_over_views(whole, images)


def mean_over_views(output: dict[str, torch.Tensor], images: int) -> dict[str, torch.Tensor]:
    """One output per image from the outputs for several views of each, an image's views in a row.

    Positions are averaged, orientations by `mean_orientation`, covariances too; what belongs to one view is left out.
    The output itself where there is one view of each. An image's views are in one scene, the likeliest on average;
    where the network estimates a pose in one scene only, it is one found in a view, and only those views count.
    """
    views = len(output["position"]) // images
    if views == 1:
        return output
    found: dict[str, torch.Tensor] = {}
    weight_BN = torch.ones(images, views, dtype=torch.float64, device=output["position"].device)
    if "scene" in output:
        probability_BS = output["scene_log_probability"].exp().unflatten(0, (images, views)).mean(dim=1)
        found = {"scene": probability_BS.argmax(dim=-1), "scene_log_probability": probability_BS.log()}
    if "scene" in output and "scene_positions" not in output:
        scene_BN = output["scene"].unflatten(0, (images, views))
        seen_BS = torch.nn.functional.one_hot(scene_BN, probability_BS.shape[-1]).any(dim=1)
        found["scene"] = probability_BS.masked_fill(~seen_BS, -1.0).argmax(dim=-1)
        weight_BN = (scene_BN == found["scene"][:, None]).double()
    elif "scene" in output:
        row_X, scene_X = torch.arange(len(output["scene"])), found["scene"].repeat_interleave(views)
        output = {name: output[f"scene_{name}s"][row_X, scene_X] for name in ("position", "orientation")}
    split = {k: output[k].unflatten(0, (images, views)) for k in ("position", "orientation")}
    share_BN1 = (weight_BN / weight_BN.sum(dim=1, keepdim=True))[..., None]
    mean = {
        "position": (share_BN1.to(split["position"].dtype) * split["position"]).sum(dim=1),
        "orientation": mean_orientation(split["orientation"], weight_BN),
    }
    if "covariance" in output:
        mean["covariance"] = output["covariance"].unflatten(0, (images, views)).mean(dim=1)
    return mean | found
