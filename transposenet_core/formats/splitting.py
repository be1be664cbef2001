"""Train, val and test for recordings without a split: whole sequences, or blocks of time with a gap between.

Neighbouring frames look alike: where they are on both sides of a split, retrieving the nearest training image is nearly
exact and the errors tell nothing about other views (fault matrix, T4). All of it is deterministic.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.runs import NEAR, NEAR_PERIODS, find_runs, frame_period
from transposenet_core.scene import PosedImage, Scene

SPLIT_METHODS = ("sequences", "blocks", "random")
RANK = {"train": 0, "val": 1, "test": 2}
VAL_SHARE, TEST_SHARE = 0.1, 0.2
MINIMUM_BLOCK, USUAL_BLOCK, BLOCKS = 5, 50, 15  # frames, frames, blocks that a short scene is cut into
SHORT_BLOCK, FEWEST_BLOCKS = 10, 6  # frames: guards use up shorter ones; blocks that hold all three splits
MINIMUM_GUARD = NEAR + 1  # frames: the check calls a split leaky if its sides are nearer in time


def split_scene(
    scene: Scene, method: str, faults: Faults, val_share: float = VAL_SHARE, test_share: float = TEST_SHARE
) -> Scene:
    """`scene` split by `method`, one of SPLIT_METHODS; a random split gets a warning. UserError."""
    if method == "sequences":
        return split_by_sequence(scene, val_share, test_share)
    if method == "blocks":
        return split_by_blocks(scene, val_share, test_share)
    if method != "random":
        raise UserError(f"a split by '{method}' is unknown; allowed are {', '.join(SPLIT_METHODS)}, or a CSV file")
    faults.remark(
        "WARN: split random",
        "neighbouring frames are on both sides, so errors are far too small; use blocks or sequences",
    )
    return split_randomly(scene, val_share, test_share)


def split_by_sequence(scene: Scene, val_share: float = VAL_SHARE, test_share: float = TEST_SHARE) -> Scene:
    """Whole sequences: the last ones in the order of the scene become `test`, those before them `val`.

    As many as come nearest to the shares of the frames, and at least one where a share is above 0. UserError where no
    sequence is left for training.
    """
    _check_shares(val_share, test_share)
    counts = Counter(image.sequence for image in scene.images)
    left, chosen = list(counts), {}
    for split, share in (("test", test_share), ("val", val_share)):
        wanted, taken = share * len(scene.images), 0
        while share and left and (taken == 0 or wanted - taken > counts[left[-1]] / 2):
            taken += counts[left[-1]]
            chosen[left.pop()] = split
    if not left:
        raise UserError(
            f"scene {scene.name}: {len(counts)} sequences ({', '.join(counts)}) are too few for train, val and test; "
            "split by blocks, or record another sequence"
        )
    images = [replace(image, split=chosen.get(image.sequence, "train")) for image in scene.images]
    return replace(scene, images=images)


def split_by_blocks(
    scene: Scene,
    val_share: float = VAL_SHARE,
    test_share: float = TEST_SHARE,
    block: int | None = None,
    guard: int | None = None,
    guard_s: float = 0.0,
) -> Scene:
    """Blocks of `block` frames in the order of their stamps, spread evenly over each sequence.

    A frame within `guard` frames or `guard_s` seconds of a frame of val or test in its sequence is left out of train;
    val keeps the same distance from test. By default a block has 50 frames, fewer in a short scene, and a guard is a
    fifth of a block, at least 4 frames, and so many seconds that the check finds no leak: keyframes come at uneven
    times. UserError where a split is empty.
    """
    _check_shares(val_share, test_share)
    block = block or _usual_block(len(scene.images))
    timed = guard is None
    guard = max(MINIMUM_GUARD, block // 5) if guard is None else guard
    kept: dict[int, str] = {}
    blocks = 0
    for frames in _sequences(scene.images):
        here = math.ceil(len(frames) / block)
        of_block = [_split_of_block(number, val_share, test_share) for number in range(blocks, blocks + here)]
        splits = [of_block[index // block] for index in range(len(frames))]
        blocks += here
        images = [scene.images[frame] for frame in frames]
        gap_s = guard_s
        keeps = _outside_guards(splits, images, guard, gap_s)
        # The period of the frames that are left is what the check finds, and grows where many are left out.
        while timed and (near_s := _near_seconds([i for i, keep in zip(images, keeps, strict=True) if keep])) > gap_s:
            gap_s = near_s
            keeps = _outside_guards(splits, images, guard, gap_s)
        kept |= {frame: split for keep, frame, split in zip(keeps, frames, splits, strict=True) if keep}
    return _checked(scene, kept, val_share, test_share, f"{blocks} blocks of {block} frames")


def split_randomly(scene: Scene, val_share: float = VAL_SHARE, test_share: float = TEST_SHARE, seed: int = 0) -> Scene:
    """Frames sampled one by one, neighbours on both sides: only to compare with work that splits this way."""
    _check_shares(val_share, test_share)
    order = list(range(len(scene.images)))
    random.Random(seed).shuffle(order)
    test, val = round(test_share * len(order)), round(val_share * len(order))
    splits = {frame: "test" if i < test else "val" if i < test + val else "train" for i, frame in enumerate(order)}
    return _checked(scene, splits, val_share, test_share, f"{len(order)} frames")


def _usual_block(frames: int) -> int:
    block = min(USUAL_BLOCK, max(SHORT_BLOCK, frames // BLOCKS))
    return max(MINIMUM_BLOCK, min(block, frames // FEWEST_BLOCKS))


def _check_shares(val_share: float, test_share: float) -> None:
    if not (0 <= val_share < 1 and 0 <= test_share < 1 and val_share + test_share < 1):
        raise UserError(f"shares {val_share} of val and {test_share} of test; both are at least 0, together below 1")


def _sequences(images: list[PosedImage]) -> list[list[int]]:
    """Indices of the images of each sequence, in the order of their stamps."""
    sequences: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        sequences.setdefault(image.sequence, []).append(index)
    return [sorted(indices, key=lambda i: images[i].stamp) for indices in sequences.values()]


def _split_of_block(number: int, val_share: float, test_share: float) -> str:
    """Every 1/share-th block, the first in the middle of the first period; val is spread over what test leaves."""
    if _is_selected(number, test_share):
        return "test"
    rest = number - _count_selected(number, test_share)
    return "val" if _is_selected(rest, val_share / (1 - test_share)) else "train"


def _is_selected(number: int, share: float) -> bool:
    """Whether the `number`-th of a row is selected, so that the share of those is `share`."""
    return _count_selected(number + 1, share) > _count_selected(number, share)


def _count_selected(number: int, share: float) -> int:
    """How many of the first `number` are selected."""
    return math.floor(number * share + 0.5 + 1e-9)


def _near_seconds(images: list[PosedImage]) -> float:
    """The distance in time below which the check calls frames of one run neighbours; the largest of the runs."""
    periods = [frame_period(np.array([images[index].stamp for index in run])) for run in find_runs(images)]
    return NEAR_PERIODS * max(periods, default=0.0)


def _outside_guards(splits: list[str], images: list[PosedImage], guard: int, guard_s: float) -> list[bool]:
    """Of frames in the order of time: which are far enough from every frame of a split with a higher rank."""
    rank_N, index_N = np.array([RANK[s] for s in splits]), np.arange(len(splits))
    stamp_N = np.array([image.stamp for image in images])
    keep_N = np.ones(len(splits), bool)
    for rank in (1, 2):
        higher = np.flatnonzero(rank_N >= rank)
        lower = np.flatnonzero(rank_N < rank)
        if len(higher) == 0 or len(lower) == 0:
            continue
        after = np.searchsorted(higher, lower)
        for near in (higher[np.minimum(after, len(higher) - 1)], higher[np.maximum(after - 1, 0)]):
            close = abs(index_N[lower] - near) <= guard
            if guard_s > 0:
                close |= abs(stamp_N[lower] - stamp_N[near]) <= guard_s
            keep_N[lower[close]] = False
    return keep_N.tolist()


def _checked(scene: Scene, splits: dict[int, str], val_share: float, test_share: float, what: str) -> Scene:
    images = [replace(image, split=splits[i]) for i, image in enumerate(scene.images) if i in splits]
    counts = Counter(image.split for image in images)
    wanted = ["train", *(["val"] if val_share else []), *(["test"] if test_share else [])]
    empty = [split for split in wanted if not counts[split]]
    if empty:
        raise UserError(
            f"scene {scene.name}: {what} leave nothing for {' and '.join(empty)}; record more, or write a split file"
        )
    return replace(scene, images=images)
