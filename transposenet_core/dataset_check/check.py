"""The check of a data set: everything that is wrong with it at once, and the card of its scene.

`check_dataset` looks at everything once; `quick_check` is the part that takes seconds and precedes every training.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transposenet_core.dataset_check.card import Card, make_card
from transposenet_core.dataset_check.leakage import check_leakage
from transposenet_core.dataset_check.picture_check import (
    PictureCounts,
    PictureFacts,
    check_pictures,
    examine,
    file_fault,
)
from transposenet_core.dataset_check.pose_check import check_poses
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.dataset_check.vertical import Vertical, find_vertical
from transposenet_core.formats import inspect_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.scene import Scene

FEW_TRAINING = 100


@dataclass(frozen=True, eq=False)
class Findings:
    """What a check found. `scene` holds the pictures without a fault; the rest is of all rows that could be read.

    ``card``, ``tracks`` and ``vertical`` are None where no row could be read; ``facts`` is empty for labels alone.
    """

    scene: Scene
    faults: Faults
    card: Card | None = None
    tracks: Tracks | None = None
    vertical: Vertical | None = None
    facts: Sequence[PictureFacts] = ()

    def to_dict(self) -> dict:
        """For a JSON file: the card, and every fault."""
        return {
            "card": None if self.card is None else self.card.to_dict(),
            "refused": [str(fault) for fault in self.faults.refused],
            "remarks": [str(fault) for fault in self.faults.remarks],
        }


def check_dataset(
    data: str | Path,
    split: str | Path | None = None,
    labels_only: bool = False,
    threads: int = 2,
    progress: bool = True,
) -> Findings:
    """Read labels and pictures of `data` (``FORMAT:PATH[,option=value]``) and judge them; fault matrix T1, T2, T4, T10.

    UserError where nothing can be read at all. Poses are judged before pictures, so that a bad row is told soon.
    """
    scene, faults = inspect_scene(data, split, labels_only)
    if not scene.images:
        return Findings(scene, faults)
    tracks = Tracks(scene)
    _check_labels(tracks, faults)
    leakage = check_leakage(tracks, faults)
    facts: list[PictureFacts] = []
    counts: PictureCounts | None = None
    if not labels_only:
        facts = examine(scene.images, threads, progress)
        counts = check_pictures(scene, facts, faults)
    good = without_refused(scene, faults)
    # A camera at 3e9 m would be the extent: the card is of what can be used, where something can.
    told = Tracks(good) if good.images else tracks
    vertical = find_vertical(told)
    card = make_card(good if good.images else scene, told, vertical, leakage, counts)
    kept = [fact for fact in _facts_of(scene, facts, good)] if facts else []
    return Findings(good, faults, card, told, vertical, kept)


def quick_check(data: object, scene: Scene, skip_bad: bool = False) -> Scene:
    """The scene without what must not be learnt from: false poses, files that are empty or cut off (T1, T2, T10).

    Pictures of the test split are not touched. Remarks go to stderr. UserError where the data are refused: at any
    fault, or with `skip_bad` where they are more than 5 % of the rows.
    """
    faults, tracks = Faults(), Tracks(scene)
    _check_labels(tracks, faults)
    check_leakage(tracks, faults)
    for image in scene.images:
        if image.split != "test" and (fault := file_fault(image.path)):
            faults.refuse(image.path, fault)
    good = without_refused(scene, faults)
    faults.raise_refused(data, len(good.images), skip_bad)
    for remark in faults.remarks:
        print(f"warning: {remark}", file=sys.stderr)
    return good


def without_refused(scene: Scene, faults: Faults) -> Scene:
    """The scene without the pictures that a refused fault names, by their name or their path."""
    refused = {fault.where for fault in faults.refused}
    images = [image for image in scene.images if image.name not in refused and str(image.path) not in refused]
    return dataclasses.replace(scene, images=images)


def _check_labels(tracks: Tracks, faults: Faults) -> None:
    check_poses(tracks, faults)
    training = len(tracks.of("train"))
    if training < FEW_TRAINING:
        what = f"{training} pictures are few: a room takes several hundred, a street a thousand and more"
        faults.remark("train split", what if training else "no pictures: nothing can be learnt from this split")


def _facts_of(scene: Scene, facts: Sequence[PictureFacts], good: Scene) -> list[PictureFacts]:
    kept = {id(image) for image in good.images}
    return [fact for image, fact in zip(scene.images, facts, strict=True) if id(image) in kept]
