"""Scenes in arbitrary units become metres: by a distance, odometry, or correspondences with a map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_tracks import made_track, walk
from scipy.spatial.transform import Rotation
from small_scene import write_small_scene

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.formats.image_names import same_images
from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.scene import DepthCamera, Scene
from transposenet_core.scene_units import in_metres, moved
from transposenet_core.several_scenes import load_scenes

UNIT_M = 2.5
METRIC = made_track(walk(200))
T_MAP_SCENE = Pose(
    [12.0, -3.0, 0.5], Rotation.from_euler("xyz", [20, -70, 130], degrees=True).as_quat(scalar_first=True)
)


def arbitrary(scene: Scene = METRIC) -> Scene:
    """The scene as structure from motion knows it: another frame, and a unit of 2.5 m."""
    T = T_MAP_SCENE.inverse()
    poses = [Pose((T @ image.pose).position / UNIT_M, (T @ image.pose).orientation) for image in scene.images]
    images = [replace(image, pose=pose) for image, pose in zip(scene.images, poses, strict=True)]
    return replace(scene, images=images, units="arbitrary")


def assert_equal(found: Scene, expected: Scene, atol: float = 1e-9) -> None:
    assert found.units == "metres"
    (p, q), (p_expected, q_expected) = (stack([image.pose for image in scene.images]) for scene in (found, expected))
    np.testing.assert_allclose(p, p_expected, atol=atol)
    assert rotation_angle_deg(q, q_expected).max() < 1e-4


@pytest.mark.parametrize("scale", ["2.5", "seq-01/frame-000000.png, frame-000100.jpg={}"])
def test_t25_a_scale_is_a_number_or_the_distance_of_two_cameras(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (METRIC.images[k].pose.position for k in (0, 100))
    found = in_metres(arbitrary(), scale=scale.format(np.linalg.norm(a - b)))
    assert found.units == "metres"
    p_N3, q_N4 = stack([image.pose for image in found.images])
    np.testing.assert_allclose(p_N3, [UNIT_M * image.pose.position for image in arbitrary().images])
    np.testing.assert_allclose(q_N4, stack([image.pose for image in arbitrary().images])[1])
    assert "1 unit is 2.5 m" in capsys.readouterr().err


def test_mount_and_depth_are_scaled_with_the_poses() -> None:
    mount = Pose([0.1, 0, 0], [1, 0, 0, 0])
    depth = DepthCamera(METRIC.intrinsics, 1e-3, mount)  # type: ignore[arg-type]
    found = moved(replace(arbitrary(), T_pose_camera=mount, depth_camera=depth), Similarity(UNIT_M, T_MAP_SCENE))
    assert_equal(found, METRIC)
    assert found.T_pose_camera is not None and found.depth_camera is not None
    assert found.T_pose_camera.position[0] == found.depth_camera.T_camera_depth.position[0] == pytest.approx(0.25)
    assert found.depth_camera.metres_per_unit == pytest.approx(2.5e-3)


def test_t25_covariances_turn_and_grow_with_the_poses() -> None:
    """A metre and a degree along the scene's x only, which is the map's -y after a quarter turn about z."""
    covariance_66 = np.diag([1.0, 0, 0, np.radians(1) ** 2, 0, 0])
    covariance_66[0, 3] = covariance_66[3, 0] = np.radians(1)
    scene = arbitrary()
    scene.images[0] = replace(scene.images[0], covariance_66=covariance_66)
    quarter = Similarity(UNIT_M, Pose([1, 2, 3], [np.sqrt(0.5), 0, 0, -np.sqrt(0.5)]))
    first, second = moved(scene, quarter).images[:2]
    expected_66 = np.zeros((6, 6))
    expected_66[1, 1], expected_66[4, 4] = UNIT_M**2, np.radians(1) ** 2
    expected_66[1, 4] = expected_66[4, 1] = UNIT_M * np.radians(1)
    assert first.covariance_66 is not None and second.covariance_66 is None
    np.testing.assert_allclose(first.covariance_66, expected_66, atol=1e-12)


def write_correspondences(path: Path, kind: str, scene: Scene, places: list[int]) -> Path:
    lines = ["image,x,y,z" if kind == "images" else "x,y,z,map_x,map_y,map_z"]
    for k in places:
        own, in_map = (",".join(map(repr, each.images[k].pose.position.tolist())) for each in (scene, METRIC))
        lines.append(f"{scene.images[k].name},{in_map}" if kind == "images" else f"{own},{in_map}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", ["images", "points"])
def test_t25_correspondences_move_a_scene_into_the_map(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_correspondences(tmp_path / "map.csv", kind, arbitrary(), [0, 50, 120, 190])
    assert_equal(in_metres(arbitrary(), align=str(path)), METRIC)
    printed = capsys.readouterr().err
    assert "1 unit is 2.5 m, aligned by 4 correspondences of map.csv: rms 0.000 m" in printed
    # A scene in metres is moved and not stretched.
    large = moved(METRIC, Similarity(1.1, T_MAP_SCENE.inverse()))
    path = write_correspondences(tmp_path / "map.csv", kind, large, [0, 50, 120, 190])
    rigid = in_metres(large, align=str(path))
    lengths = [np.linalg.norm(np.ptp(stack([i.pose for i in s.images])[0], axis=0)) for s in (METRIC, rigid)]
    assert lengths[1] == pytest.approx(1.1 * lengths[0], rel=0.05)


def test_t25_odometry_that_drifts_gives_the_scale(tmp_path: Path) -> None:
    """A degree of yaw and 1 % of noise in every step, of a small recording with the same images."""
    folder = write_small_scene(tmp_path / "desk", frames=60)
    recorded = load_scene(folder)
    rng = np.random.default_rng(0)
    odometry = [recorded.images[0].pose]
    for before, after in zip(recorded.images, recorded.images[1:], strict=False):
        step = before.pose.inverse() @ after.pose
        drift = Rotation.from_euler("y", 1, degrees=True).as_quat(scalar_first=True)
        noise = 0.01 * np.linalg.norm(step.position) * rng.normal(size=3)
        odometry.append(odometry[-1] @ Pose(step.position + noise, step.orientation) @ Pose(np.zeros(3), drift))
    images = [replace(image, pose=pose) for image, pose in zip(recorded.images, odometry, strict=True)]
    write_folder_dataset(tmp_path / "odometry", replace(recorded, images=images))
    (found,) = load_scenes([f"7scenes:{folder}"], [], [])
    found = in_metres(arbitrary(found), align=f"odometry:folder:{tmp_path / 'odometry'}")
    true_N3, scaled_N3 = (stack([image.pose for image in each.images])[0] for each in (recorded, found))
    sizes = [np.linalg.norm(np.ptp(p_N3[:60] - p_N3[:60].mean(axis=0), axis=0)) for p_N3 in (true_N3, scaled_N3)]
    lengths = [np.linalg.norm(np.diff(p_N3[:60], axis=0), axis=1).sum() for p_N3 in (true_N3, scaled_N3)]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.03), sizes
    shuffled = [
        replace(image, pose=pose) for image, pose in zip(recorded.images, rng.permutation(odometry), strict=True)
    ]
    write_folder_dataset(tmp_path / "other", replace(recorded, images=shuffled))
    with pytest.raises(UserError, match="times the scene's, no scale fits"):
        in_metres(arbitrary(recorded), align=f"odometry:folder:{tmp_path / 'other'}")


@pytest.mark.parametrize("kind", ["images", "points"])
def test_t25_correspondences_of_spreadsheets(kind: str, tmp_path: Path) -> None:
    path = write_correspondences(tmp_path / "map.csv", kind, arbitrary(), [0, 50, 120, 190])
    text = path.read_text()
    for separator in ("\t", ";", ", "):
        path.write_bytes(text.replace(",", separator).encode("utf-16"))
        assert_equal(in_metres(arbitrary(), align=str(path)), METRIC)
    path.write_text(text.replace("\n", "\n\n", 1) + "a,,\n")
    with pytest.raises(UserError, match="map.csv line 7: .* are not all numbers"):
        in_metres(arbitrary(), align=str(path))


@pytest.mark.parametrize(
    ("scale", "align", "sentence"),
    [
        ("0", "", "--scale 0: write metres per unit, or IMAGE,IMAGE=METRES"),
        ("two", "", "--scale two: write metres per unit"),
        ("a.png=3", "", "1 images before the ="),
        ("frame-000000.png,frame-9.png=3", "", "has no image frame-9.png; its names are like seq-01/frame-000000.png"),
        ("frame-000000.png,frame-000000.png=3", "", "both cameras are in the same place"),
        ("2", "map.csv", "both given for scene made; give one of them"),
        ("", "absent.csv", "the correspondences cannot be read"),
        ("", "image,a,b,c\n", "columns image,a,b,c found; they must be image,x,y,z"),
        ("", "image,x,y,z\nframe-000000.png,1,2,\n", "line 2: x, y, z are not all numbers"),
        ("", "image,x,y,z\nframe-000000.png,1,2,inf\n", "a number that is not finite"),
        ("", "image,x,y,z\nframe-000000.png,1,2,3\n", "1 and 1 points, at least 3 of each are needed"),
        ("", "x,y,z,map_x,map_y,map_z\n0,0,0,0,0,0\n1,0,0,1,0,0\n2,0,0,2,0,0\n", "the points are on one line"),
    ],
)
def test_t25_wrong_options_are_one_sentence(scale: str, align: str, sentence: str, tmp_path: Path) -> None:
    if "\n" in align:
        (tmp_path / "map.csv").write_text(align)
        align = str(tmp_path / "map.csv")
    with pytest.raises(UserError, match=sentence.replace("(", r"\(")):
        in_metres(arbitrary(), scale, align)


def test_a_scene_in_metres_takes_no_scale() -> None:
    assert in_metres(METRIC) is METRIC
    for scale, align in (("2", ""), ("", "odometry:folder:x")):
        with pytest.raises(UserError, match="scene made is in metres already; leave the option out"):
            in_metres(METRIC, scale, align)


def test_images_are_the_same_below_other_folders_and_as_jpeg() -> None:
    known = ["redkitchen/seq-01/frame-0.png", "redkitchen/seq-02/frame-0.png", "a/b.jpg", ""]
    assert same_images(["seq-02\\frame-0.png"], known) == {0: 1}  # as Windows writes it
    assert same_images(["seq-02/frame-0.jpg", "frame-0.png", "x/a/b.png", "b.png", "c.png", ""], known) == {
        0: 1,  # frame-0 alone would be two
        2: 2,
        3: 2,
    }
