"""The card's figures on tracks whose figures are known, its leakage on splits that leak and do not, and its bounds."""

import re
import resource
import time
from dataclasses import replace
from pathlib import Path

import cv2
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
from transposenet_core.dataset_check.pose_check import check_poses
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.formats import load_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.geometry.vertical import Vertical, find_vertical
from transposenet_core.scene import Scene


def vertical_of(scene: Scene) -> Vertical:
    tracks = Tracks(scene)
    return find_vertical(tracks.positions_N3, tracks.rotations_N33)


def card_of(scene: Scene) -> Card:
    tracks = Tracks(scene)
    return make_card(scene, tracks, vertical_of(scene), check_leakage(tracks, Faults()), None)


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


def test_t26_images_without_stamps_have_no_speeds_and_no_seconds() -> None:
    """What 30 Hz, which nobody measured, makes of a fast camera: 0.5 m/s, 60 deg/s, a frame rate to be doubted."""
    positions = walk(300)
    positions[100:160] = positions[100]
    looks = Rotation.from_rotvec(np.outer(np.radians(4) * np.arange(300), [0, 0, 1])) * LEVEL
    timed = made_track(positions, rotations=looks)
    untimed = replace(timed, assumed_rate_hz=30.0)
    texts = []
    for scene in (timed, untimed):
        faults = Faults()
        check_poses(Tracks(scene), faults)
        texts.append("\n".join([card_text(card_of(scene)), *map(str, faults.remarks)]))
    invented = [r"\bm/s\b", r"deg/s", r"\d s\b", r"\bHz\b", r"frame rate"]
    assert [bool(re.search(pattern, texts[0])) for pattern in invented] == [True] * 5
    assert [re.search(pattern, texts[1]) for pattern in invented] == [None] * 5
    assert "median 0.05" in texts[1] and "m per frame" in texts[1] and "median 4.00" in texts[1]
    assert (card_of(untimed).duration_s, card_of(untimed).speeds_m_s.median) == (None, None)


def test_t25_arbitrary_units_are_never_called_metres() -> None:
    scene = replace(circle(splits=["train"] * 200 + ["test"] * 200), units="arbitrary")
    text = card_text(card_of(scene))
    assert "4.0 x 4.0 units seen from above" in text and re.search(r"\bm\b", text) is None


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
    vertical = vertical_of(made_track(R_map_level.apply(walk(80)), rotations=R_map_level * level))
    np.testing.assert_allclose(vertical.up_3, up)
    np.testing.assert_allclose(np.cross(*vertical.basis_23), up)  # seen from above, not mirrored
    assert vertical.names[2] == f"map {'-' if sign < 0 else ''}{'xyz'[axis]}"


@pytest.mark.parametrize("pitch", [38.0, -38.0, 70.0])
def test_t27_up_is_found_whatever_the_cameras_pitch(pitch: float) -> None:
    """A camera that looks down (or up) all the time, to the left and right by 40 degrees, in a map with skewed axes."""
    yaw = 40 * np.sin(np.arange(80) / 9)
    looks = Rotation.from_euler("ZXY", np.column_stack([yaw, np.full(80, -pitch), np.sin(yaw)]), degrees=True) * LEVEL
    R_map_level = Rotation.from_euler("xyz", [35, 20, 50], degrees=True)
    vertical = vertical_of(made_track(R_map_level.apply(walk(80)), rotations=R_map_level * looks))
    tilt_deg = np.degrees(np.arccos(vertical.up_3 @ R_map_level.apply([0, 0, 1])))
    assert tilt_deg < 2, f"{tilt_deg:.1f} deg"
    assert vertical.reason == "orthogonal to the cameras' x axes"


def test_t27_up_of_cameras_that_look_straight_down_is_against_their_view() -> None:
    down = Rotation.from_euler("ZX", np.column_stack([np.arange(80) * 7.0, np.full(80, -90.0)]), degrees=True) * LEVEL
    np.testing.assert_allclose(vertical_of(made_track(walk(80), rotations=down)).up_3, [0, 0, 1])


def test_t27_up_of_the_red_kitchen_is_where_its_floor_and_tables_point(data_folder: Path) -> None:
    """Surface normals of the depth images, which know nothing of the cameras' axes: map -y, 27 degrees off, has few."""
    scene = load_scene(f"7scenes:{data_folder / '7scenes' / 'redkitchen'}")
    assert scene.depth_camera is not None
    camera, normals = scene.depth_camera.intrinsics, []
    for image in scene.images[::100]:
        z_HW = cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED) * 1e-3
        rows, columns = np.indices(z_HW.shape)
        p_HW3 = np.stack([(columns - camera.cx) / camera.fx * z_HW, (rows - camera.cy) / camera.fy * z_HW, z_HW], -1)
        across_HW3, down_HW3 = p_HW3[:-5, 5:] - p_HW3[:-5, :-5], p_HW3[5:, :-5] - p_HW3[:-5, :-5]
        known = (z_HW[:-5, :-5] > 0) & (np.abs(across_HW3[..., 2]) < 0.05) & (np.abs(down_HW3[..., 2]) < 0.05)
        n_N3 = np.cross(across_HW3, down_HW3)[known] @ image.pose.rotation_33.T
        normals.append(-n_N3 / np.maximum(np.linalg.norm(n_N3, axis=1), 1e-12)[:, None])  # towards the camera
    n_N3, up_3 = np.concatenate(normals), vertical_of(scene).up_3
    shares = [float(np.mean(n_N3 @ axis_3 > np.cos(np.radians(10)))) for axis_3 in (up_3, np.array([0, -1, 0]))]
    assert shares[0] > 0.15 and shares[1] < 0.01, shares


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
