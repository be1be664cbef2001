"""The card of a map: what the adjustment and the depth came to, as figures, beside the card of the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from transposenet_core.dataset_check.card import NONE, Spread
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.report.frame_depths import FrameDepth, FrameRange
from transposenet_core.mapping.report.movement import Movement

LABELS = ("adjusted", "recorded")
SHOWN_WORST = 10


@dataclass(frozen=True)
class MovedFrame:
    """A frame by name, how far the adjustment moved its camera (units of the scene), and how far it rotated it."""

    name: str
    moved: float
    rotated_deg: float


@dataclass(frozen=True)
class ConstantOffset:
    """From the body that the recording's poses describe to its camera, beyond what was stated; ``T_body_camera`` as
    `Pose.to_dict`. ``found``: the images decide it; where they do not, nothing was applied. The sigmas are those of
    the estimate, in the units of the scene and degrees."""

    found: bool
    T_body_camera: dict | None = None
    distance: float = 0.0
    rotation_deg: float = 0.0
    sigma: float | None = None
    sigma_deg: float | None = None

    @classmethod
    def of(cls, T_body_camera: Pose, found: bool, sigma: float | None, sigma_deg: float | None) -> ConstantOffset:
        distance = float(np.linalg.norm(T_body_camera.position))
        angle = float(np.degrees(2 * np.arccos(min(1.0, abs(T_body_camera.orientation[0])))))
        return cls(found, T_body_camera.to_dict(), distance, angle, sigma, sigma_deg)


@dataclass(frozen=True)
class TimeOffset:
    """What the images' stamps are late by, in seconds, and its sigma; ``found``: the images decide it."""

    found: bool
    seconds: float = 0.0
    sigma_s: float | None = None


@dataclass(frozen=True)
class RefusedFrames:
    """Frames whose adjustment was refused, and why; they keep their recorded poses."""

    frames: FrameRange
    reason: str


@dataclass(frozen=True)
class AdjustmentFigures:
    """Median reprojection errors in pixels with the recorded and the adjusted poses; ``points`` map points with a mean
    of ``track_length`` frames each; movement after the result was laid back onto the recorded poses. ``prior_sigma``
    and ``prior_sigma_deg``: how far the recorded poses were believed, and where that came from. ``refused`` is the
    reason where the whole adjustment was refused, "" where it was not."""

    reprojection_before_px: float | None
    reprojection_after_px: float | None
    points: int
    track_length: float
    moved: Spread
    rotated_deg: Spread
    moved_most: list[MovedFrame]
    lens_before: dict | None
    lens_after: dict | None
    lens_note: str = ""
    prior_sigma: float | None = None
    prior_sigma_deg: float | None = None
    prior_source: str = ""
    constant_offset: ConstantOffset | None = None
    time_offset: TimeOffset | None = None
    refused_frames: list[RefusedFrames] = field(default_factory=list)
    refused: str = ""


@dataclass(frozen=True)
class DepthFigures:
    """``source`` is motion, sensor or both; ``share`` of all pixels of the training frames with depth;
    ``agreement``: share of the estimated pixels on which frames agree (None: not measured); ``nearest`` and
    ``farthest`` in the units of the scene; ``without`` are the frames that have none, and why where that is known;
    ``sensor`` is how depth from motion compares with the depth camera's, in sentences."""

    source: str
    frames: int
    frames_with_depth: int
    share: float
    worst_frame: str
    worst_share: float
    nearest: float | None
    farthest: float | None
    agreement: float | None = None
    without: list[RefusedFrames] = field(default_factory=list)
    sensor: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class MapCard:
    """Lengths are in the units of the scene. ``labels``, one of LABELS, are the poses that the map's training frames
    have, and ``labels_reason`` is why. ``seconds`` is the time by step."""

    scene: str
    units: str
    map_frame: str
    frames: int
    frames_not_mapped: dict[str, int]
    labels: str
    labels_reason: str
    adjustment: AdjustmentFigures | None
    depth: DepthFigures | None
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise ValueError(f"labels are {self.labels!r}, allowed are {', '.join(LABELS)}")

    def to_dict(self) -> dict:
        """As map.json has it."""
        return asdict(self)


def adjustment_figures(
    movement: Movement,
    reprojection_px: tuple[float | None, float | None],
    track_lengths_P: np.ndarray,
    lens: tuple[Intrinsics | None, Intrinsics | None],
    **more: Any,
) -> AdjustmentFigures:
    """The figures of an adjustment: its movement, median reprojection error before and after, how many frames see each
    map point (P,), the lens before and after; ``more`` are further fields of `AdjustmentFigures`."""
    distance_N, rotation_deg_N = movement.distance_N, movement.rotation_deg_N
    worst = [
        MovedFrame(movement.names[i], float(distance_N[i]), float(rotation_deg_N[i]))
        for i in movement.moved_most(SHOWN_WORST)
    ]
    before, after = ((None if camera is None else camera.to_dict()) for camera in lens)
    return AdjustmentFigures(
        reprojection_before_px=reprojection_px[0],
        reprojection_after_px=reprojection_px[1],
        points=len(track_lengths_P),
        track_length=float(np.mean(track_lengths_P)) if len(track_lengths_P) else 0.0,
        moved=Spread.of(distance_N) if len(movement) else NONE,
        rotated_deg=Spread.of(rotation_deg_N) if len(movement) else NONE,
        moved_most=worst,
        lens_before=before,
        lens_after=after,
        **more,
    )


def depth_figures(
    source: str,
    facts: Sequence[FrameDepth],
    agreement: float | None = None,
    reasons: Mapping[str, str] | None = None,
) -> DepthFigures:
    """The figures of the depth of one frame or more; ``reasons`` is why frames have none, by name."""
    with_depth = [fact for fact in facts if fact.nearest is not None and fact.farthest is not None]
    worst = min(facts, key=lambda fact: fact.share)
    return DepthFigures(
        source=source,
        frames=len(facts),
        frames_with_depth=len(with_depth),
        share=float(np.mean([fact.share for fact in facts])),
        worst_frame=worst.name,
        worst_share=worst.share,
        nearest=min((fact.nearest for fact in with_depth if fact.nearest is not None), default=None),
        farthest=max((fact.farthest for fact in with_depth if fact.farthest is not None), default=None),
        agreement=agreement,
        without=refused_frames(
            [fact.name for fact in facts],
            {fact.name: (reasons or {}).get(fact.name, "") for fact in facts if fact.nearest is None},
        ),
    )


def refused_frames(names: Sequence[str], reasons: Mapping[str, str]) -> list[RefusedFrames]:
    """Ranges of frames with the same reason, in the order of the recording; `names` are all of its frames."""
    found = []
    for reason, group in groupby(names, key=reasons.get):
        if reason is not None:
            part = list(group)
            found.append(RefusedFrames(FrameRange(part[0], part[-1], len(part)), reason))
    return found
