"""Options of `transposenet map`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

POSES = LENS = ("adjust", "keep")
DEPTHS = ("motion", "sensor", "both", "none")
LABELS = ("auto", "adjusted", "recorded")


@dataclass(frozen=True)
class MapOptions:
    """``poses`` and ``lens`` are adjusted to the images, or kept as recorded. ``depth`` is computed from the motion of
    the camera, copied from the depth camera, both (the depth camera's, completed from motion), or left out. ``labels``
    are the poses that a network will learn: `auto` decides by how well they agree with the validation frames.
    ``pose_sigma`` (metres, degrees): the standard deviation of recorded poses, where the recording does not state it;
    None: estimated. With ``hold_out`` a part of the training frames validates later, and takes no part in the map,
    unless the data set has validation frames."""

    poses: str = "adjust"
    lens: str = "adjust"
    depth: str = "motion"
    labels: str = "auto"
    pose_sigma: tuple[float, float] | None = None
    hold_out: bool = True
    seed: int = 0
    threads: int = 2

    def to_dict(self) -> dict[str, Any]:
        """What decides the result: all but the threads."""
        return {name: value for name, value in asdict(self).items() if name != "threads"}
