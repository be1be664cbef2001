"""The check of a data set: everything that is wrong with it at once, and the card of its scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transposenet_core.dataset_check.card import Card, make_card
from transposenet_core.dataset_check.conventions import test_conventions
from transposenet_core.dataset_check.image_check import ImageCounts, check_images, examine
from transposenet_core.dataset_check.leakage import check_leakage
from transposenet_core.dataset_check.matching import Matches, match_neighbours
from transposenet_core.dataset_check.quick import check_labels, without_refused
from transposenet_core.dataset_check.time_offset import TimeOffset, sequence_time_offset
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.dataset_check.verdict import ConventionVerdict
from transposenet_core.formats import inspect_scene, parse_source
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.vertical import Vertical, find_vertical
from transposenet_core.scene import Scene


@dataclass(frozen=True, eq=False)
class Findings:
    """What a check found. `scene` holds the images without a fault; the rest is of all rows that could be read.

    ``card``, ``tracks`` and ``vertical`` are None where no row could be read; ``offset``, ``matches`` and ``motion``
    also where the images were not compared with the poses.
    """

    scene: Scene
    faults: Faults
    card: Card | None = None
    tracks: Tracks | None = None
    vertical: Vertical | None = None
    offset: TimeOffset | None = None
    matches: Matches | None = None
    motion: ConventionVerdict | None = None

    def to_dict(self) -> dict:
        """For a JSON file: the card, and every fault."""
        return {
            "card": None if self.card is None else self.card.to_dict(),
            "refused": [str(fault) for fault in self.faults.refused],
            "remarks": [str(fault) for fault in self.faults.remarks],
            "time_offset": None if self.offset is None else self.offset.to_dict(self.scene.time_unit[0]),
            "motion": None if self.motion is None else {"outcome": self.motion.outcome, "says": self.motion.sentence()},
        }


def check_dataset(
    data: str | Path,
    split: str | Path | None = None,
    labels_only: bool = False,
    motion: bool = True,
    threads: int = 2,
    progress: bool = True,
) -> Findings:
    """Check labels and images of `data` (``FORMAT:PATH[,option=value]``) (fault matrix, T1, T2, T4, T10).

    With `motion` the poses are compared with the motion in the images (:func:`test_conventions`). UserError where
    nothing can be read.
    """
    scene, faults = inspect_scene(data, split, labels_only)
    if not scene.images:
        return Findings(scene, faults)
    tracks = Tracks(scene)
    check_labels(tracks, faults)
    leakage = check_leakage(tracks, faults)
    counts: ImageCounts | None = None
    if not labels_only:
        counts = check_images(tracks, examine(scene.images, threads, progress), faults)
    good = without_refused(scene, faults)
    # A camera at 3e9 m would set the extent: the card is of the usable rows, where there are any.
    shown_tracks = Tracks(good) if good.images else tracks
    vertical = find_vertical(shown_tracks.positions_N3, shown_tracks.rotations_N33)
    card = make_card(good if good.images else scene, shown_tracks, vertical, leakage, counts)
    if labels_only or not motion or not good.images:
        return Findings(good, faults, card, shown_tracks, vertical)
    longest = max(shown_tracks.runs, key=len)
    offset = sequence_time_offset([good.images[index] for index in longest])
    check_offset(offset, shown_tracks.period(longest), faults, good.time_unit[0])
    matches = match_neighbours(good)
    source = parse_source(data)
    verdict = test_conventions(good, matches, source.adapter.pose_convention(source.options, scene.name))
    return Findings(good, faults, card, shown_tracks, vertical, offset, matches, verdict)


def check_offset(offset: TimeOffset, period: float, faults: Faults, unit: str = "s") -> None:
    """A remark where images and poses are off by more than a frame and significantly (fault matrix, T3)."""
    if offset.seconds is not None and abs(offset.seconds) > max(0.75 * period, 3 * offset.sigma):
        where = "--time-offset of bag_to_dataset, time_offset= of tum and euroc"
        advice = f"add {offset.seconds:.3f} s to the images' stamps ({where})"
        if unit == "frames":
            advice = "compare the order of the images with that of the poses"
        faults.remark("time", f"{offset.sentence(unit)}: the images stand at poses of another time; {advice}")
