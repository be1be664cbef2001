"""The demo's renderer: its geometry, its drives, the layout it writes and its error messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

from demo import render
from demo.drives import MAX_YAW_DEG, novelty, test_drive, training_drives
from demo.room import LENGTH, WIDTH, build_room
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import rotation_angle_deg, stack

test_drive.__test__ = False
SPHERE_RADIUS = 0.03
# In a separate process, as everywhere: a sphere of 3 cm glows in a black room at each of the points.
RENDER_SPHERES = """
import json, sys
import cv2, numpy as np
from demo.camera_effects import light_at
from demo.render import VIEW_ANGLE_DEG
from demo.renderer import RoomRenderer
from demo.room import Room, Thing
from demo.shapes import sphere
from transposenet_core.geometry.pose import Pose
out, cases = sys.argv[1], json.loads(sys.argv[2])
for k, (matrix, point, size) in enumerate(cases):
    room = Room(textures={"lamp": np.full((8, 8, 3), 255, np.uint8)})
    room.add("target", sphere(point, 0.03, "lamp"))
    renderer = RoomRenderer(room, tuple(size), VIEW_ANGLE_DEG)
    image = renderer.render(Pose.from_matrix(np.array(matrix)), light_at(1, 0.0))
    cv2.imwrite(f"{out}/{k}.png", image)
    np.save(f"{out}/{k}.npy", renderer.depth())
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    """Three frames of each drive with depth."""
    return render.render_drives(tmp_path_factory.mktemp("room"), frames=3, depth=True, progress=False)


def test_a_known_point_is_rendered_where_the_camera_matrix_projects_it(tmp_path):
    poses = [test_drive().poses[k] for k in (0, 90, 200)]
    camera_points = np.array([[0.0, 0.0, 1.2], [0.55, -0.35, 1.4], [-0.9, 0.5, 1.9]])
    sizes = [(320, 240), (320, 240), (320, 240)]
    cases, expected = [], []
    for pose in poses:
        for point, size in zip(camera_points, sizes, strict=True):
            in_map = pose.rotation_33 @ point + pose.position
            cases.append((pose.matrix_44.tolist(), in_map.tolist(), size))
            pixel = render.camera_matrix(*size) @ (point / point[2])
            expected.append((pixel[:2], point[2]))
    subprocess.run(
        [sys.executable, "-c", RENDER_SPHERES, str(tmp_path), json.dumps(cases)], cwd=ROOT, check=True, timeout=60
    )
    for k, (pixel, depth) in enumerate(expected):
        weight = cv2.imread(str(tmp_path / f"{k}.png"), cv2.IMREAD_GRAYSCALE).astype(float)
        v, u = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
        centre = np.array([(u * weight).sum(), (v * weight).sum()]) / weight.sum()
        # Measured: 0.1 px, of which a sphere's outline off the axis (an ellipse) is the most; half a pixel is 0.5.
        np.testing.assert_allclose(centre, pixel, atol=0.25)
        row, column = np.round(pixel[::-1]).astype(int)
        assert np.load(tmp_path / f"{k}.npy")[row, column] == pytest.approx(depth - SPHERE_RADIUS, abs=0.006)


def test_the_layout_is_that_of_7_scenes(rendered):
    assert (rendered / "TrainSplit.txt").read_text().split() == [f"sequence{k}" for k in range(1, 9)]
    assert (rendered / "TestSplit.txt").read_text().split() == ["sequence9"]
    K = np.loadtxt(rendered / "color-intrinsics.txt")
    np.testing.assert_allclose(K, [[207.846097, 0, 159.5], [0, 207.846097, 119.5], [0, 0, 1]], atol=1e-5)
    for number in range(1, 10):
        folder = rendered / f"seq-{number:02d}"
        assert len(list(folder.iterdir())) == 9
        for index in range(3):
            T = np.loadtxt(folder / f"frame-{index:06d}.pose.txt")
            np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-7)
            assert np.linalg.det(T[:3, :3]) > 0
            assert 0.57 < T[2, 3] < 0.63
            # Optical axes: z looks ahead (+x of the map within the pan), y points down.
            assert T[0, 2] > np.cos(np.radians(MAX_YAW_DEG + 1)) * 0.98
            assert T[2, 1] < -0.98
            image = cv2.imread(str(folder / f"frame-{index:06d}.color.jpg"))
            assert image.shape == (240, 320, 3)
            assert 40 < image.mean() < 215
            assert image.std() > 25


def test_the_depth_images_camera_is_the_images_own(rendered):
    scene = load_scene(f"7scenes:{rendered}")
    depth, colour = scene.depth_camera, scene.intrinsics
    figures = ("width", "height", "fx", "fy", "cx", "cy")
    ours, theirs = ([getattr(of, name) for name in figures] for of in (depth.intrinsics, colour))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert scene.T_pose_camera is None and not depth.T_camera_depth.position.any()


def test_depth_is_metric_and_within_the_room(rendered):
    for number in range(1, 10):
        T = np.loadtxt(rendered / f"seq-{number:02d}" / "frame-000001.pose.txt")
        depth_HW = cv2.imread(str(rendered / f"seq-{number:02d}" / "frame-000001.depth.png"), cv2.IMREAD_UNCHANGED)
        v, u = np.mgrid[0:240, 0:320]
        rays = np.linalg.inv(render.camera_matrix(320, 240)) @ np.stack([u, v, np.ones_like(u)]).reshape(3, -1)
        points = (T[:3, :3] @ (rays * depth_HW.ravel() / 1000)).T + T[:3, 3]
        assert points.min() > -0.03
        assert (points.max(axis=0) < [LENGTH + 0.03, WIDTH + 0.03, 2.73]).all()
        # The outermost surface is the room's own wall, floor or ceiling, so the bound is reached.
        assert abs(points[:, 0].max() - LENGTH) < 0.03 or abs(points[:, 1] - WIDTH / 2).max() > WIDTH / 2 - 0.03


def test_a_second_run_renders_the_same_images(rendered, tmp_path):
    again = render.render_drives(tmp_path, drives="test", frames=3, processes=1, progress=False)
    for index in range(3):
        name = f"seq-09/frame-{index:06d}.color.jpg"
        a, b = (cv2.imread(str(folder / name)).astype(int) for folder in (rendered, again))
        assert np.abs(a - b).mean() < 0.05
    first, second = (cv2.imread(str(rendered / f"seq-09/frame-00000{k}.color.jpg")).astype(int) for k in (0, 1))
    assert np.abs(first - second).mean() > 1.0, "the sensor's noise must differ between frames"


def test_the_room_is_rich_and_repeatable(rendered):
    objects = json.loads((rendered / "room.json").read_text())["objects"]
    kinds = [thing["kind"] for thing in objects]
    assert len(objects) >= 30
    assert kinds.count("chair") == 4
    assert kinds.count("box") == 6
    assert len({thing["name"] for thing in objects}) == len(objects)
    low, high = (np.array([thing["bounds_m"][k] for thing in objects]) for k in (0, 1))
    # The window sill is let 5 cm into the wall.
    assert (low > -0.06).all()
    assert (high < [LENGTH + 0.06, WIDTH + 0.06, 2.76]).all()
    a, b = build_room(7), build_room(7)
    assert all((a.textures[name] == b.textures[name]).all() for name in a.textures)
    assert any((a.textures[name] != texture).any() for name, texture in build_room(8).textures.items())


def test_the_camera_never_enters_an_object():
    boxes = [thing.bounds for thing in build_room().things]
    positions, _ = stack([pose for drive in [*training_drives(), test_drive()] for pose in drive.poses])
    low, high = (np.array([box[k] for box in boxes])[None] for k in (0, 1))
    inside = ((positions[:, None] > low - 0.1) & (positions[:, None] < high + 0.1)).all(axis=-1)
    assert not inside.any()


def test_the_test_drive_is_new_but_not_far(capsys):
    train = [pose for drive in training_drives() for pose in drive.poses]
    by_position, by_both = novelty(test_drive().poses, train)
    assert len(train) == 2000
    assert 0.15 <= by_position <= 0.20
    assert 1.05 <= by_both <= 1.30
    assert f"{by_both:.2f}" in capsys.readouterr().out
    assert novelty(train[:50], train, verbose=False) == (0.0, 0.0)


def test_drives_move_as_a_robot_does():
    test = test_drive()
    assert (len(test.poses), test.rate) == (300, 30.0)
    for drive in [*training_drives(), test]:
        positions, orientations = stack(drive.poses)
        speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) * drive.rate
        rotation = rotation_angle_deg(orientations[1:], orientations[:-1]) * drive.rate
        assert 0.1 < speed.max() <= 0.6
        assert 20 < rotation.max() <= 60
        assert np.ptp(positions[:, 2]) <= 0.04


def test_training_shows_many_headings_everywhere():
    """Each eighth of the patrol area has views in all six sectors of the pan: heading does not give the place."""
    positions, _ = stack(poses := [pose for drive in training_drives() for pose in drive.poses])
    yaw = np.degrees([np.arctan2(pose.rotation_33[1, 2], pose.rotation_33[0, 2]) for pose in poses])
    table, _ = np.histogramdd(np.column_stack([positions[:, :2], yaw]), bins=(2, 4, 6))
    assert table.min() >= 8
    assert np.abs(np.corrcoef(np.column_stack([positions[:, :2], yaw]).T)[2, :2]).max() < 0.1


def test_a_missing_graphics_library_is_named_before_vtk_starts():
    with pytest.raises(UserError, match=r"libNoSuchEGL\.so\.9.*apt install libegl1") as caught:
        render.check_graphics(("libNoSuchEGL.so.9",))
    assert "\n" not in str(caught.value)


def test_a_dead_rendering_process_is_one_sentence(tmp_path):
    """A file stands where the sequence folder should be: the child cannot write and its exit is reported."""
    (tmp_path / "seq-09").write_text("in the way")
    arguments = ["--out", str(tmp_path), "--drives", "test", "--frames", "1"]
    with pytest.raises(UserError, match="exit code 1") as caught:
        render._run_workers(arguments, 1, 1, progress=False)
    assert "\n" not in str(caught.value)


def test_the_command_line_refuses_a_wrong_size(capsys):
    with pytest.raises(SystemExit) as stopped:
        render.main(["--out", "unused", "--size", "320"])
    assert stopped.value.code == 2
    assert "'320' is not an image size" in capsys.readouterr().err
