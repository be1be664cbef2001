"""View completion: the parts that a moved view lacks are filled from other training images.

A camera rotated by 20 degrees sees much that its own image does not contain. A robot's images are complete, so the
network should learn from complete ones: two more images, one from a camera that looks farther the same way, one from a
camera farther behind, are moved to the same pose with their own depth and fill what the first leaves empty.
"""

from __future__ import annotations

import torch

from transposenet_core.geometry.quaternions import inverse, matrices, product, rotated
from transposenet_core.training.augmentation.view_synthesis import MovedViews

CANDIDATES = 48  # number of images among which the best is chosen, others each time
# Shares of the scene's typical depth: of a room's 1.6 m (RedKitchen), 1 m and 0.6 m.
FAR, FAR_DIRECTION = 0.61, 0.35  # distances in position and in direction of view (20 degrees) that count the same
BEHIND = 0.37  # best distance of the image from behind
BEYOND = 1.5  # best direction of the other image: beyond the view by this many times the view's rotation


def completion_sources(
    position_N3: torch.Tensor,
    orientation_N4: torch.Tensor,
    index_B: torch.Tensor,
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    random_B: torch.Tensor,
    typical_depth: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices (B,) of the two among N images that complete each view, all with poses ``T_map_camera``.

    One is near and looks beyond the view's direction, on the side to which the view is rotated from its own image
    `index_B`; the other looks the same way from behind. They are chosen among evenly spaced images, starting at the
    one that `random_B` selects; `typical_depth` is that of the scene.
    """
    count = len(position_N3)
    offsets_K = torch.arange(0, count, max(1, count // CANDIDATES), device=index_B.device)
    candidates_BK = ((random_B * count).long()[:, None] + offsets_K) % count
    directions_N3 = matrices(orientation_N4)[..., 2]  # the cameras' z axes
    direction_B3 = matrices(orientation_B4)[..., 2]

    def nearest(place_B3: torch.Tensor, direction_B3: torch.Tensor) -> torch.Tensor:
        apart_BK = (position_N3[candidates_BK] - place_B3[:, None]).norm(dim=-1) / (FAR * typical_depth)
        rotated_BK = (directions_N3[candidates_BK] - direction_B3[:, None]).norm(dim=-1) / FAR_DIRECTION
        best_B1 = (apart_BK + rotated_BK).argmin(dim=1, keepdim=True)
        return candidates_BK.gather(1, best_B1)[:, 0]

    beyond_B3 = direction_B3 + BEYOND * (direction_B3 - directions_N3[index_B])
    return nearest(position_B3, beyond_B3), nearest(position_B3 - BEHIND * typical_depth * direction_B3, direction_B3)


def motion_between(
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    new_position_B3: torch.Tensor,
    new_orientation_B4: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotation (B, 4) and translation (B, 3) from one pose to another, in the axes of the old camera, as for
    `moved_views`."""
    inverse_B4 = inverse(orientation_B4)
    translation_B3 = rotated(inverse_B4, (new_position_B3 - position_B3)[:, None])[:, 0]
    return product(inverse_B4, new_orientation_B4), translation_B3


def completed(view: MovedViews, other: MovedViews, which_B: torch.Tensor) -> MovedViews:
    """The views `which_B` (B,) bool with the pixels of the other where they are empty and the other is not."""
    taken_BHW = which_B[:, None, None] & other.shown_BHW & ~view.shown_BHW
    return MovedViews(
        torch.where(taken_BHW[:, None], other.image_BCHW, view.image_BCHW),
        torch.where(taken_BHW, other.depth_BHW, view.depth_BHW),
        view.shown_BHW | taken_BHW,
    )
