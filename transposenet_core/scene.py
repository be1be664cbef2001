"""A scene: the posed pictures of one place, their camera and their map frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.pose import Pose

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics in pixels of a `width` x `height` picture; pixel centres are whole numbers (OpenCV).

    ``source`` says where the figures come from, because a wrong camera is a silent error. ``rectified`` says whether
    the lens's distortion has been taken out of the pictures; None where nobody has said so.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    source: str = "unknown"
    rectified: bool | None = None

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class PosedImage:
    """One picture of a scene: where it lies, where its camera was (``T_map_camera``), and which split it is in.

    ``name`` is the picture's path below the data set's root, as split files write it; ``stamp`` is in seconds.
    """

    name: str
    path: Path
    pose: Pose
    split: str
    sequence: str
    stamp: float


@dataclass(eq=False)
class Scene:
    """Posed pictures under one map frame, in the order in which they were taken."""

    name: str
    images: list[PosedImage]
    map_frame: str = "map"
    intrinsics: Intrinsics | None = None
    root: Path = field(default_factory=Path)

    def select(self, split: str) -> list[PosedImage]:
        """The pictures of a split (`all` for every picture). UserError where the scene has none of them."""
        chosen = [image for image in self.images if split in ("all", image.split)]
        if not chosen:
            counts = Counter(image.split for image in self.images)
            found = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no pictures at all"
            raise UserError(
                f"scene {self.name} ({self.root}) has no pictures in the split '{split}': found {found}; "
                "name another split or a split file with --split"
            )
        return chosen
