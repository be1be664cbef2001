"""The settings of depth from motion."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DenseOptions:
    """Settings of depth from motion; the defaults are what `benchmarks/depth_from_motion.py` measures.

    Angles are parallaxes: between the directions from two cameras to one point. ``threads`` changes no result.
    """

    working_pixels: int = 160 * 120  # of the images that are compared, whatever their aspect ratio
    planes: int = 96  # depths tried for each pixel; up to `most_planes` where a frame sees near and far
    most_planes: int = 160
    window: int = 3  # side of the compared windows, in working pixels
    sources: int = 10  # neighbours that a frame is compared with
    best_parallax_deg: float = 7.0
    least_parallax_deg: float = 0.8  # of the median point: below, a neighbour stands where the frame stands
    least_points: int = 12  # of the map, seen by a frame: fewer tell nothing of its depths
    partners: int = 20  # frames whose depths a frame's depth is checked against
    tolerance: float = 0.05  # relative difference of two depths that agree
    least_agreeing: int = 2  # partners that must agree on a pixel, and
    agreeing_share: float = 0.5  # the share of those that can see it
    threads: int = 1

    def of_the_sweep(self) -> dict[str, float]:
        """What decides a frame's raw depth beside its inputs: so other votes need no other sweep."""
        return {name: getattr(self, name) for name in ("working_pixels", "planes", "most_planes", "window")}

    def of_the_votes(self) -> dict[str, float]:
        """What decides which depths agree."""
        return {name: getattr(self, name) for name in ("tolerance", "least_agreeing", "agreeing_share")}
