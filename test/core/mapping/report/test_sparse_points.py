"""The points of an adjustment get the colours of what they lie on."""

from pathlib import Path

import numpy as np
from box_scene import COLOUR_CAMERA, WALL_COLOURS, box_scene, seen, views, wall_distances

from transposenet_core.mapping.report.sparse_points import sparse_points
from transposenet_core.mapping.sparse_map import MappedFrame, SparseMap


def box_map(folder: Path, count: int = 6, a_frame: int = 40) -> SparseMap:
    """Each frame of the box has points of its own, on the walls that its pixels show."""
    scene, rng, frames, points = box_scene(folder, views(count)), np.random.default_rng(0), [], []
    for number, image in enumerate(scene.images):
        depth_HW, _ = seen(image.pose, COLOUR_CAMERA)
        pixel_K2 = np.column_stack([rng.integers(2, 158, a_frame), rng.integers(2, 118, a_frame)]).astype(float)
        z_K = depth_HW[pixel_K2[:, 1].astype(int), pixel_K2[:, 0].astype(int)]
        rays_K3 = np.column_stack([(pixel_K2 - [79.5, 59.5]) / 130.0, np.ones(a_frame)])
        points.append((rays_K3 * z_K[:, None]) @ image.pose.rotation_33.T + image.pose.position)
        frames.append(MappedFrame(image, image.pose, number * a_frame + np.arange(a_frame), pixel_K2))
    point_P3 = np.concatenate(points)
    return SparseMap(frames, COLOUR_CAMERA, point_P3, np.zeros(len(point_P3)))


def test_map_points_have_the_colours_of_their_walls(tmp_path: Path) -> None:
    sparse = box_map(tmp_path / "box")
    points = sparse_points(sparse)
    np.testing.assert_allclose(points.position_P3, sparse.point_P3)
    np.testing.assert_array_equal(points.colour_P3, WALL_COLOURS[wall_distances(points.position_P3)[1]])
    assert (points.depth_P > 0).all()


def test_points_far_beyond_all_others_and_unreadable_images_are_left_out(tmp_path: Path) -> None:
    sparse = box_map(tmp_path / "box")
    frame = sparse.frames[0]
    sparse.point_P3[0] = frame.T_map_camera.position + 1e6 * frame.T_map_camera.rotation_33[:, 2]
    sparse.point_P3[1] = frame.T_map_camera.position - frame.T_map_camera.rotation_33[:, 2]  # behind the camera
    sparse.frames[5].image.path.write_bytes(b"")
    assert len(sparse_points(sparse).depth_P) == len(sparse.point_P3) - 2 - 40


def test_a_map_without_points_has_none(tmp_path: Path) -> None:
    sparse = box_map(tmp_path / "box", a_frame=0)
    assert len(sparse_points(sparse).depth_P) == 0
