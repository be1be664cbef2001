"""Splits made here: by sequence, by blocks with gaps, at random with a warning; the same every time."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from transposenet_core.dataset_check.leakage import check_leakage, find_leakage
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.errors import UserError
from transposenet_core.formats import inspect_scene, load_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.splitting import split_by_blocks, split_by_sequence, split_randomly, split_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene

HERE = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))


def scene_of(*lengths: int, rate_hz: float = 30.0) -> Scene:
    frames = [(f"seq-{s:02d}", f) for s, length in enumerate(lengths) for f in range(length)]
    images = [PosedImage(f"{s}/{f:06d}.png", Path(s), HERE, "train", s, f / rate_hz) for s, f in frames]
    return Scene("hall", images)


def splits_of(scene: Scene) -> dict[str, str]:
    return {image.name: image.split for image in scene.images}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=4), st.integers(1, 40), st.integers(0, 15), st.floats(0, 1))
def test_t04_blocks_of_different_splits_keep_their_distance(
    lengths: list[int], block: int, guard: int, guard_s: float
) -> None:
    scene = scene_of(*lengths)
    try:
        split = split_by_blocks(scene, 0.1, 0.2, block, guard, guard_s)
    except UserError:
        assume(False)
    where = {image.name: (image.sequence, int(image.name[-10:-4])) for image in scene.images}
    by_sequence: dict[str, list[tuple[int, str]]] = {}
    for image in split.images:
        sequence, number = where[image.name]
        by_sequence.setdefault(sequence, []).append((number, image.split))
    for frames in by_sequence.values():
        for (a, split_a), (b, split_b) in pairwise(frames):
            # Neighbours among the kept frames: those of one split lie closest, so no other pair is nearer.
            assert split_a == split_b or (b - a > guard and (b - a) / 30 > guard_s - 1e-9)
    assert set(splits_of(split)) <= set(splits_of(scene))
    assert splits_of(split) == splits_of(split_by_blocks(scene, 0.1, 0.2, block, guard, guard_s))


def test_blocks_come_near_their_shares_and_spread_over_the_time() -> None:
    split = split_by_blocks(scene_of(1500, 1500))
    counts = Counter(image.split for image in split.images)
    assert (counts["test"], counts["val"]) == (600, 300) and 1500 < counts["train"] < 2100
    assert {image.sequence for image in split.images if image.split == "test"} == {"seq-00", "seq-01"}
    assert split.images[0].split == "train" == split.images[-1].split


def test_the_order_is_that_of_the_stamps_and_not_of_the_list() -> None:
    scene = scene_of(200)
    mixed = Scene("hall", [scene.images[i] for i in np.random.default_rng(1).permutation(200)])
    assert splits_of(split_by_blocks(mixed)) == splits_of(split_by_blocks(scene))
    assert [i.name for i in split_by_blocks(mixed).images] != sorted(splits_of(split_by_blocks(mixed)))


def test_t10_few_frames_are_split_or_refused_with_a_reason_and_many_take_no_time() -> None:
    assert set(splits_of(split_by_blocks(scene_of(75))).values()) == {"train", "val", "test"}
    with pytest.raises(UserError, match="scene hall: 3 blocks of 5 frames leave nothing for val; record more"):
        split_by_blocks(scene_of(12))
    many = split_by_blocks(scene_of(100_000))
    assert 0.19 < sum(image.split == "test" for image in many.images) / 100_000 < 0.21


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 80), min_size=3, max_size=8))
def test_whole_sequences_go_to_one_split(lengths: list[int]) -> None:
    scene = scene_of(*lengths)
    try:
        split = split_by_sequence(scene, 0.1, 0.2)
    except UserError as error:
        assert "too few for train, val and test" in str(error)
        return
    of_sequence = {image.sequence: image.split for image in split.images}
    assert all(of_sequence[image.sequence] == image.split for image in split.images)
    assert list(of_sequence.values()) == sorted(of_sequence.values(), key=["train", "val", "test"].index)
    assert set(of_sequence.values()) == {"train", "val", "test"} and len(split.images) == sum(lengths)


def test_sequences_come_near_their_shares() -> None:
    split = split_by_sequence(scene_of(*[100] * 10))
    assert Counter(image.split for image in split.images) == {"train": 700, "val": 100, "test": 200}
    assert set(splits_of(split_by_sequence(scene_of(50, 50), val_share=0)).values()) == {"train", "test"}
    with pytest.raises(UserError, match=r"hall: 2 sequences \(seq-00, seq-01\) are too few .* split by blocks"):
        split_by_sequence(scene_of(50, 50))


def test_t04_a_random_split_is_made_and_warned_of() -> None:
    scene, faults = scene_of(100), Faults()
    split = split_scene(scene, "random", faults)
    assert Counter(image.split for image in split.images) == {"train": 70, "val": 10, "test": 20}
    assert splits_of(split) == splits_of(split_randomly(scene))
    assert str(faults.remarks[0]).startswith("WARN: split random: neighbouring frames")
    split_scene(scene, "blocks", faults), split_scene(scene_of(9, 9, 9), "sequences", faults)
    assert len(faults.all) == 1


@pytest.mark.parametrize("count", [45, 56, 75, 100, 132, 150, 300])
def test_t04_a_short_recording_split_by_blocks_does_not_leak_by_the_checks_own_measure(count: int) -> None:
    tracks = Tracks(split_by_blocks(scene_of(count)))
    for split in ("val", "test"):
        leakage = find_leakage(tracks, split)
        assert leakage.frames >= 5 and leakage.leaking == 0
    assert len(tracks.of("train")) >= 0.3 * count


def uneven(count: int, stems: tuple[str, ...] = ("",)) -> Scene:
    """Keyframes of a robot that is quick for 10 of 40 frames: 0.1 s apart there, 0.5 s elsewhere, since 1970."""
    seconds = 1_700_000_000 + np.cumsum([0.1 if number % 40 < 10 else 0.5 for number in range(count)])
    frames = [(f"seq-01/{stem}{n:06d}.png", float(s)) for n, s in enumerate(seconds) for stem in stems]
    return Scene("hall", [PosedImage(name, Path(), HERE, "train", "seq-01", stamp) for name, stamp in frames])


@pytest.mark.parametrize("scene", [uneven(n) for n in (60, 90, 150, 400)] + [uneven(150, ("left_", "right_"))])
def test_t04_keyframes_at_uneven_times_split_by_blocks_do_not_leak_by_the_checks_own_measure(scene: Scene) -> None:
    tracks, faults = Tracks(split_by_blocks(scene)), Faults()
    check_leakage(tracks, faults)
    assert not faults.all
    assert len(tracks.of("train")) >= 0.3 * len(scene.images)
    by_frames_alone = Tracks(split_by_blocks(scene, guard=4))
    assert len(scene.images) < 150 or find_leakage(by_frames_alone, "test").leaking, "a guard in frames was not enough"


def test_wrong_shares_and_methods_are_named() -> None:
    with pytest.raises(UserError, match="a split by 'halves' is unknown; allowed are sequences, blocks, random"):
        split_scene(scene_of(100), "halves", Faults())
    for shares in ((0.5, 0.5), (-0.1, 0.2), (0, 1.0)):
        with pytest.raises(UserError, match="both are at least 0, together below 1"):
            split_by_blocks(scene_of(100), *shares)


def test_any_format_is_split_by_the_method_on_the_command_line(
    small_scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(load_scene(small_scene, "random").select("val")) == 5
    assert capsys.readouterr().err.startswith("WARN: split random")
    with pytest.raises(UserError, match="too few for train, val and test"):
        load_scene(small_scene, "sequences")
    (small_scene / "seq-02").rename(small_scene / "seq-03")
    (small_scene / "TrainSplit.txt").unlink(), (small_scene / "TestSplit.txt").unlink()
    scene, _ = inspect_scene(small_scene)
    assert {image.split for image in scene.images} == {"train"} and len(scene.images) == 48
