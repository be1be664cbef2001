"""The point cloud lies on the walls of a room whose walls are known, its file is what the format says, its size is
bounded."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_scene import BOX, WALL_COLOURS, box_scene, views, wall_distances
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.report.depth_points import DepthReader, Points
from transposenet_core.mapping.report.ply import write_ply
from transposenet_core.mapping.report.point_cloud import collect_points, thinned, write_point_cloud
from transposenet_core.mapping.report.thinning import VoxelThinning

KINDS = {"float": "<f4", "double": "<f8", "uchar": "u1"}
BESIDE = Pose([0.05, 0.02, -0.01], Rotation.from_euler("y", 3, degrees=True).as_quat(scalar_first=True))


def read_ply(path: Path) -> tuple[np.ndarray, list[str]]:
    """Every line of the header is one that the format knows; the body is as long as it says."""
    head, _, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    comments = [line for line in lines[2:] if line.startswith("comment ")]
    element, *properties = [line for line in lines[2:] if not line.startswith("comment ")]
    assert element.startswith("element vertex ")
    assert all(line.startswith("property ") for line in properties)
    kind = np.dtype([(name, KINDS[kind]) for _, kind, name in (line.split(" ") for line in properties)])
    assert len(body) == int(element.split(" ")[2]) * kind.itemsize
    return np.frombuffer(body, kind), comments


def position(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows[axis] for axis in "xyz"]).astype(np.float64)


@pytest.mark.parametrize("T_camera_depth", [Pose([0, 0, 0], [1, 0, 0, 0]), BESIDE], ids=["registered", "beside"])
def test_points_lie_on_the_walls_and_have_their_colours(tmp_path: Path, T_camera_depth: Pose) -> None:
    scene = box_scene(tmp_path / "box", views(12), T_camera_depth)
    points = write_point_cloud(tmp_path / "map.ply", scene, progress=False)
    rows, _ = read_ply(tmp_path / "map.ply")
    assert len(rows) == len(points.depth_P) > 5000
    np.testing.assert_allclose(position(rows), points.position_P3, atol=1e-6)
    distance_P, wall_P = wall_distances(position(rows))
    # A voxel at an edge of the room has the mean of two walls.
    assert np.percentile(distance_P, 95) < 1e-3 and distance_P.max() < 0.06
    colours_P3 = np.column_stack([rows[c] for c in ("red", "green", "blue")])
    same_P = (np.abs(colours_P3.astype(int) - WALL_COLOURS[wall_P]) <= 1).all(axis=1)
    assert same_P.mean() > 0.95


def test_another_program_reads_the_same_points(tmp_path: Path) -> None:
    reader_module = pytest.importorskip("vtkmodules.vtkIOPLY")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    points = write_point_cloud(tmp_path / "map.ply", box_scene(tmp_path / "box", views(3)), progress=False)
    reader = reader_module.vtkPLYReader()
    reader.SetFileName(str(tmp_path / "map.ply"))
    reader.Update()
    found = reader.GetOutput()
    np.testing.assert_allclose(vtk_to_numpy(found.GetPoints().GetData()), points.position_P3, atol=1e-6)
    np.testing.assert_array_equal(vtk_to_numpy(found.GetPointData().GetScalars()), points.colour_P3)


def test_a_map_far_from_its_origin_loses_no_digits(tmp_path: Path) -> None:
    """As geographic coordinates are: float32 would have steps of 3 cm."""
    origin = np.array([453_120.0, 5_410_300.0, 120.0])
    points = write_point_cloud(
        tmp_path / "map.ply", box_scene(tmp_path / "box", views(3), origin_3=origin), progress=False
    )
    rows, _ = read_ply(tmp_path / "map.ply")
    assert rows.dtype["x"] == np.float64
    np.testing.assert_array_equal(position(rows), points.position_P3)
    assert np.percentile(wall_distances(position(rows) - origin)[0], 95) < 1e-3


@pytest.mark.parametrize("scale", [0.02, 1.0, 40.0])
def test_the_cloud_of_any_scale_has_as_many_points(tmp_path: Path, scale: float) -> None:
    """A table top, a room, a hall: what is relative to the distance does not depend on the unit."""
    points = collect_points(box_scene(tmp_path / "box", views(6), scale=scale), most=4000, progress=False)
    assert 1500 < len(points.depth_P) <= 4000
    assert np.percentile(wall_distances(points.position_P3 / scale)[0], 90) < 2e-3


def test_depths_far_off_all_others_and_single_pixels_are_left_out(tmp_path: Path) -> None:
    scene = box_scene(tmp_path / "box", views(8))
    for image in scene.images:
        depth_HW = cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED)
        depth_HW[10, 10:70:12] *= 2  # pixels that float between near and far
        depth_HW[5, 20:23], depth_HW[6, 20:23] = 150, 65535  # too near for this place, and no depth
        cv2.imwrite(str(image.depth_path), depth_HW)
    position_P3 = collect_points(scene, progress=False).position_P3
    assert (position_P3 > -0.01).all() and (position_P3 < BOX + 0.01).all()
    assert wall_distances(position_P3)[0].max() < 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3000), st.integers(1, 500), st.sampled_from([1e-3, 1.0, 1e3]))
def test_a_thinned_cloud_is_bounded_and_made_of_its_points(seed: int, count: int, most: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    cloud = Points(
        scale * rng.normal(size=(count, 3)), rng.integers(0, 256, (count, 3), dtype=np.uint8),
        scale * rng.uniform(0.5, 5, count),
    )  # fmt: skip
    thinning = VoxelThinning(most, 0.003)
    for part in np.array_split(np.arange(count), 3):
        thinning.add(Points(cloud.position_P3[part], cloud.colour_P3[part], cloud.depth_P[part]))
    found = thinning.result()
    assert 1 <= len(found.depth_P) <= most
    for given_P, found_P in ((cloud.position_P3, found.position_P3), (cloud.colour_P3, found.colour_P3)):
        assert (found_P >= given_P.min(axis=0) - 1e-9).all() and (found_P <= given_P.max(axis=0) + 1e-9).all()
    assert np.isfinite(found.position_P3).all()


def test_a_cloud_that_is_small_enough_is_the_same_cloud() -> None:
    cloud = Points(np.eye(3), np.zeros((3, 3), np.uint8), np.ones(3))
    assert thinned(cloud, 3) is cloud


def test_what_was_seen_from_near_is_kept_where_it_was_also_seen_from_far() -> None:
    wall = np.mgrid[0:1:0.004, 0:1:0.004].reshape(2, -1).T
    wall_P3 = np.column_stack([wall, np.zeros(len(wall))])
    thinning = VoxelThinning(100_000, 0.005)
    for depth, grey in ((8.0, 10), (1.0, 200)):
        thinning.add(Points(wall_P3, np.full(wall_P3.shape, grey, np.uint8), np.full(len(wall), depth)))
    found = thinning.result()
    assert (found.colour_P3 == 200).all() and len(found.depth_P) > 10_000


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    """2.5 million points in 125 frames, of which 20 000 are kept: they alone would take 150 MB as they are stored."""
    rng, thinning = np.random.default_rng(1), VoxelThinning(20_000, 0.002)
    tracemalloc.start()
    for _ in range(125):
        position_P3 = rng.uniform(0, 5, (20_000, 3))
        position_P3[:, 2] = 0
        thinning.add(Points(position_P3, np.zeros((20_000, 3), np.uint8), rng.uniform(1, 4, 20_000)))
    found, peak = thinning.result(), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 5_000 < len(found.depth_P) <= 20_000
    assert peak < 130e6, f"{peak / 1e6:.0f} MB"


def test_names_cannot_break_the_header(tmp_path: Path) -> None:
    cloud = Points(np.eye(3), np.zeros((3, 3), np.uint8), np.ones(3))
    write_ply(tmp_path / "map.ply", cloud, ["a place\nend_header\nproperty float é"])
    rows, comments = read_ply(tmp_path / "map.ply")
    assert len(rows) == 3 and len(comments) == 1


def test_no_depth_at_all_and_no_depth_camera_are_clear(tmp_path: Path) -> None:
    scene = box_scene(tmp_path / "box", views(2))
    for image in scene.images:
        cv2.imwrite(str(image.depth_path), np.zeros((60, 80), np.uint16))
    assert len(write_point_cloud(tmp_path / "map.ply", scene, progress=False).depth_P) == 0
    assert len(read_ply(tmp_path / "map.ply")[0]) == 0
    scene.images[0].depth_path.write_bytes(b"no image")
    with pytest.raises(UserError, match="0000.depth.png: not a depth image"):
        collect_points(scene, progress=False)
    scene.depth_camera = None
    with pytest.raises(UserError, match="has no depth camera"):
        DepthReader(scene)
