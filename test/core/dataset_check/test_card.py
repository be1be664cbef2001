"""The card's figures on tracks whose figures are known, its leakage on splits that leak and do not, and its bounds."""

import resource
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tracks import LEVEL, made_track, walk
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.card import Card, distance_from_training, make_card, share_revisited
from transposenet_core.dataset_check.card_text import card_text, faults_text
from transposenet_core.dataset_check.check import check_dataset
from transposenet_core.dataset_check.leakage import check_leakage, find_leakage
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.dataset_check.vertical import find_vertical
from transposenet_core.formats import load_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.scene import Scene


def card_of(scene: Scene) -> Card:
    tracks = Tracks(scene)
    return make_card(scene, tracks, find_vertical(tracks), check_leakage(tracks, Faults()), None)


def circle(rotations: int = 2, rate_hz: float = 10.0, splits: list[str] | None = None) -> Scene:
    """A radius of 2 m at 1.5 m height, 20 s a round, looking outwards."""
    angles = np.arange(rotations * 200) * 2 * np.pi / 200
    positions = np.column_stack([2 * np.cos(angles), 2 * np.sin(angles), np.full(len(angles), 1.5)])
    outwards = Rotation.from_rotvec(np.outer(angles - np.pi / 2, [0, 0, 1])) * LEVEL
    return made_track(positions, rate_hz, splits, outwards)


def test_the_figures_of_a_circle_are_those_of_a_circle() -> None:
    card = card_of(circle(splits=["train"] * 200 + ["test"] * 200))
    step = 2 * np.sin(np.pi / 200) * 2
    assert card.frames == {"train": 200, "val": 0, "test": 200}
    assert card.extent_m == pytest.approx((4, 4))
    assert card.heights_m == pytest.approx((1.5, 1.5, 1.5))
    assert card.path_m == pytest.approx(399 * step)
    assert (card.duration_s, card.rate_hz) == pytest.approx((39.9, 10))
    assert (card.speeds_m_s.median, card.speeds_m_s.largest) == pytest.approx((step * 10, step * 10))
    assert card.rotations_deg_s.p95 == pytest.approx(18)
    assert card.up == "map z" and card.revisited > 0.98
    assert card.directions.sector_shares == pytest.approx([1 / 12] * 12, abs=0.006)
    assert card.directions.elevations_deg == pytest.approx([0, 0, 0], abs=1e-6)
    assert card.distances["test"].metres.largest == pytest.approx(0, abs=1e-9)
    text = card_text(card)
    assert "4.0 x 4.0 m seen from above; up is map z" in text and "12 of 12 sectors" in text


def test_views_that_training_never_has_are_counted() -> None:
    angles = np.repeat([0.0, 100.0], 100)
    scene = made_track(
        walk(200),
        splits=["train"] * 100 + ["test"] * 100,
        rotations=Rotation.from_rotvec(np.outer(angles, [0, 0, 1]), degrees=True) * LEVEL,
    )
    directions = card_of(scene).directions
    assert (directions.sectors_seen, directions.unseen) == (1, {"test": 1.0})


def test_one_way_is_no_revisit_and_the_way_back_is() -> None:
    there = walk(400)
    assert share_revisited(Tracks(made_track(there)), 0.5) == 0
    assert share_revisited(Tracks(made_track(np.concatenate([there, there[::-1]]))), 0.5) > 0.6


def test_distances_from_training_are_those_found_one_by_one(data_folder: Path) -> None:
    """The data's own notes give 0.14 m / 9 deg for the nearest training pose on fold 3."""
    scene = load_scene(
        f"7scenes:{data_folder / '7scenes' / 'redkitchen'}", data_folder / "splits" / "redkitchen_b50_fold3.csv"
    )
    training = scene.select("train")
    nearest = []
    for image in scene.select("test"):
        gaps = [float(np.linalg.norm(image.pose.position - other.pose.position)) for other in training]
        other = training[int(np.argmin(gaps))]
        nearest.append((min(gaps), float(rotation_angle_deg(image.pose.orientation, other.pose.orientation))))
    found = distance_from_training(Tracks(scene), "test")
    metres, degrees = np.median(nearest, axis=0)
    assert (found.metres.median, found.degrees.median) == pytest.approx((metres, degrees))
    assert metres == pytest.approx(0.14, abs=0.01) and degrees == pytest.approx(9, abs=1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0, 1, 2]), st.sampled_from([1.0, -1.0]))
def test_up_is_found_whatever_axis_the_map_has_for_it(seed: int, axis: int, sign: float) -> None:
    """Cameras held upright, yawing freely, pitching and rolling by up to 20 degrees."""
    rng = np.random.default_rng(seed)
    yaw, pitch, roll = rng.uniform(-180, 180, 80), rng.uniform(-20, 20, 80), rng.uniform(-20, 20, 80)
    level = Rotation.from_euler("ZXY", np.column_stack([yaw, pitch, roll]), degrees=True) * LEVEL
    up = sign * np.eye(3)[axis]
    R_map_level, _ = Rotation.align_vectors([up], [[0, 0, 1]])
    vertical = find_vertical(Tracks(made_track(R_map_level.apply(walk(80)), rotations=R_map_level * level)))
    np.testing.assert_allclose(vertical.up_3, up)
    np.testing.assert_allclose(np.cross(*vertical.basis_23), up)  # seen from above, not mirrored
    assert vertical.names[2] == f"map {'-' if sign < 0 else ''}{'xyz'[axis]}"


def leaks(scene: Scene) -> list[str]:
    faults = Faults()
    check_leakage(Tracks(scene), faults)
    return [str(fault) for fault in faults.remarks]


def test_t04_a_random_split_of_one_drive_is_reported() -> None:
    shuffled = np.random.default_rng(2).permutation(["train"] * 240 + ["test"] * 60).tolist()
    remarks = leaks(made_track(walk(300), splits=shuffled))
    assert len(remarks) == 1 and remarks[0].startswith("test split: leaks like a random split: 60 of 60 test frames")


def test_t04_every_fifth_frame_is_reported_also_where_frames_are_thinned_out() -> None:
    splits = ["test" if index % 5 == 0 else "train" for index in range(300)]
    scene = made_track(walk(300), splits=splits)
    assert "random split" in leaks(scene)[0]
    scene.images[:] = [image for index, image in enumerate(scene.images) if index % 10 in (0, 1)]
    assert "random split" in leaks(scene)[0]


def test_t04_blocks_without_a_gap_are_reported_and_with_a_gap_are_not() -> None:
    scene = made_track(walk(300), splits=["train"] * 150 + ["test"] * 150)
    assert "no guard gap, or too short a one: 3 of 150 test frames" in leaks(scene)[0]
    scene.images[150:156] = []
    assert not leaks(scene)


@pytest.mark.parametrize("fold", ["b50_fold3", "b50_fold0_val", "b20_fold1"])
def test_t04_the_guarded_folds_of_redkitchen_do_not_leak(data_folder: Path, fold: str) -> None:
    split = data_folder / "splits" / f"redkitchen_{fold}.csv"
    scene = load_scene(f"7scenes:{data_folder / '7scenes' / 'redkitchen'}", split)
    tracks = Tracks(scene)
    assert not leaks(scene)
    assert find_leakage(tracks, "test").same_run == len(tracks.of("test"))  # one run: it could leak


def test_the_summary_shows_five_of_a_kind_and_all_where_asked() -> None:
    faults = Faults()
    for index in range(9):
        faults.refuse(f"frame {index}", f"a quaternion of length {index}.5, allowed is 1")
    faults.refuse("frame 3", "the image is missing")
    faults.remark("split", "leaks")
    lines = faults_text(faults.all, everything=False).splitlines()
    assert len(lines) == 8 and lines[5].strip() == "and 4 more like these (--all)"
    assert len(faults_text(faults.all, everything=True).splitlines()) == 11


@pytest.mark.long
def test_t10_a_hundred_thousand_rows_are_checked_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """100 000 poses in a table of labels, 40 MB of text of which at most 600 MB of memory may become."""
    path, rows = tmp_path / "large.csv", 100_000
    positions, lines = walk(rows, 0.01), ["scene,split,seq,img_path,t1,t2,t3,q1,q2,q3,q4"]
    for index, (x, y, z) in enumerate(positions):
        sequence, split = index // 5000, "test" if index >= 80_000 else "train"
        name = f"chess/seq-{sequence:02d}/frame-{index % 5000:06d}.color.png"
        lines.append(f"chess,{split},seq-{sequence:02d},{name},{x:.5f},{y:.5f},{z:.5f},0.7071068,-0.7071068,0,0")
    path.write_text("\n".join(lines) + "\n")
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    findings = check_dataset(f"labels_csv:{path}", labels_only=True)
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.process_time() - start
    assert findings.card is not None and sum(findings.card.frames.values()) == rows
    assert not findings.faults.refused
    assert (after.ru_maxrss - before.ru_maxrss) / 1024 < 600
    assert seconds < 60
    print(f"{seconds:.1f} s, {(after.ru_maxrss - before.ru_maxrss) / 1024:.0f} MB")
