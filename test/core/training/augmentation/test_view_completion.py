"""View completion: what a view's own image did not see comes from another one, at the right place."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rendered_room import CAMERA, HEIGHT, POSE, WIDTH, one_camera, posed, render_room
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.preprocessing import Preprocessing, mean_colour, normalise
from transposenet_core.training.augmentation.view_completion import completed, completion_sources, motion_between
from transposenet_core.training.augmentation.view_synthesis import MovedViews, moved_views
from transposenet_core.training.augmentation.views import (
    COMPLETION,
    RANDOM_NUMBERS,
    RECORDED,
    TRANSLATION,
    views_of_scene,
)
from transposenet_core.training.config import AugmentationConfig, VirtualRotationConfig
from transposenet_core.training.data.depth import registered_depth
from transposenet_core.training.data.pixels import PosedPixels

SIZE = (HEIGHT, WIDTH)
EMPTY = normalise(mean_colour(torch.device("cpu")).reshape(1, 3, 1, 1))


def rotated(degrees: float | list[float]) -> torch.Tensor:
    """Quaternions (N, 4) w x y z that rotate the camera to the right."""
    return torch.from_numpy(
        Rotation.from_rotvec(np.outer(np.radians(degrees), [0, 1, 0])).as_quat(scalar_first=True)
    ).float()


def away(yaw: float, translation: tuple[float, float, float]) -> np.ndarray:
    """``T_map_camera`` of the room's camera, rotated to the right and translated in its own axes."""
    T_old_new = np.eye(4)
    T_old_new[:3, :3], T_old_new[:3, 3] = Rotation.from_euler("y", yaw, degrees=True).as_matrix(), translation
    return POSE.matrix_44 @ T_old_new


MATRICES = [away(0, (0, 0, 0)), away(30, (0.1, 0, 0.1)), away(15, (0.1, 0.02, -0.05))]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0: where the view's own image was taken, 1: the other, 2: the view as it should be."""
    return render_room(tmp_path_factory.mktemp("room"), MATRICES)


@pytest.fixture(scope="module")
def two_images(room: Path) -> PosedPixels:
    images = [cv2.imread(str(room / f"{k}.png")) for k in (0, 1)]
    depths = [registered_depth(posed(room, k), one_camera(), CAMERA) for k in (0, 1)]
    positions, orientations = stack([Pose.from_matrix(matrix) for matrix in MATRICES[:2]])
    return PosedPixels(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(positions).float(),
        torch.from_numpy(orientations).float(),
        CAMERA,
        torch.from_numpy(np.stack(depths)),
    )


def test_the_completed_view_is_the_rendered_one(room: Path, two_images: PosedPixels) -> None:
    wanted = Pose.from_matrix(MATRICES[2])
    position, orientation = (torch.from_numpy(part).float()[None] for part in (wanted.position, wanted.orientation))
    pixels, views = two_images, []
    for number in (0, 1):
        here = slice(number, number + 1)
        motion = motion_between(pixels.position_N3[here], pixels.orientation_N4[here], position, orientation)
        image, depth = pixels.image_N3HW[here].float() + 1, pixels.depth_NHW[here]
        views.append(moved_views(image, depth, *motion, CAMERA, SIZE))
    whole = completed(views[0], views[1], torch.tensor([True]))
    expected = cv2.imread(str(room / "2.png")).astype(np.float32)
    expected_z = cv2.imread(str(room / "2.depth.png"), cv2.IMREAD_UNCHANGED) / 1000
    added = (whole.shown_BHW & ~views[0].shown_BHW)[0].numpy()
    off = np.abs(whole.image_BCHW[0].permute(1, 2, 0).numpy() - 1 - expected).mean(axis=-1)[added]
    z = whole.depth_BHW[0].numpy()
    known = added & (z > 0)
    off_z = np.abs(z - expected_z)[known]
    print(f"added {added.mean():.2f}, off by {np.median(off):.2f} grey levels, depth {np.median(off_z):.4f} m")
    assert views[0].shown_BHW.float().mean() < 0.75 and whole.shown_BHW.float().mean() > 0.93
    assert np.median(off) < 4 and np.mean(off) < 12
    assert known.sum() > 0.8 * added.sum() and np.median(off_z) < 0.01 and np.mean(off_z > 0.1) < 0.05
    # What the first image saw stays as it is, and so does a view that is not to be completed.
    kept = views[0].shown_BHW[:, None].expand_as(whole.image_BCHW)
    torch.testing.assert_close(whole.image_BCHW[kept], views[0].image_BCHW[kept], rtol=0, atol=0)
    same: MovedViews = completed(views[0], views[1], torch.tensor([False]))
    assert all(torch.equal(have, was) for have, was in zip(same, views[0], strict=True))


def test_training_shows_more_and_labels_stay(two_images: PosedPixels) -> None:
    rotation = VirtualRotationConfig(yaw=20.0, pitch=2.0, roll=2.0)
    config = AugmentationConfig(
        random_crop=False, colour_jitter=0.0, virtual_rotation=rotation, virtual_translation=0.1
    )
    random_numbers, index = torch.full((2, RANDOM_NUMBERS), 0.9), torch.tensor([0, 0])
    random_numbers[:, COMPLETION] = torch.tensor([0.49, 0.51])
    images = Preprocessing(HEIGHT, SIZE)
    plain = views_of_scene(two_images, index, random_numbers, images, config)
    made = views_of_scene(two_images, index, random_numbers, images, replace(config, view_completion=0.5))
    torch.testing.assert_close(made.position_B3, plain.position_B3, rtol=0, atol=0)
    torch.testing.assert_close(made.orientation_B4, plain.orientation_B4, rtol=0, atol=0)
    assert made.depth_BHW is not None and plain.depth_BHW is not None
    more = (made.depth_BHW > 0).float().mean((1, 2)) - (plain.depth_BHW > 0).float().mean((1, 2))
    assert more[0] > 0.15 and more[1] == 0
    # A view that stays as it was recorded has nothing to complete.
    random_numbers[:, RECORDED] = 0.1
    still = views_of_scene(
        two_images, index, random_numbers, images, replace(config, view_completion=1.0, as_recorded=0.2)
    )
    as_it_is = views_of_scene(two_images, index, random_numbers, images, replace(config, as_recorded=0.2))
    assert ((still.image_B3HW - as_it_is.image_B3HW).abs() > 0).float().mean() < 0.02


def test_one_image_looks_farther_the_same_way_and_one_from_behind() -> None:
    yaws = [0.0, 1.0, -42.0, 43.0, 180.0, 43.0, 15.0]
    position = torch.zeros(7, 3)
    position[5, 0], position[6, 2] = 3.0, -0.6  # the right way from far away; from behind
    index, view, here = torch.tensor([0, 0]), rotated([17.0, -17.0]), torch.zeros(2, 3)
    random_numbers = torch.tensor([0.0, 0.7])  # the start does not matter if all are candidates
    beyond, behind = completion_sources(position, rotated(yaws), index, here, view, random_numbers, 1.6)
    assert beyond.tolist() == [3, 2] and behind[0] == 6


def test_among_many_images_others_are_taken_each_time() -> None:
    count = 1000
    yaws = np.linspace(-60, 60, count)
    index, here, random_numbers = torch.full((20,), 500), torch.zeros(20, 3), torch.linspace(0, 0.99, 20)
    view = rotated(15.0).expand(20, 4)
    beyond, behind = completion_sources(
        torch.zeros(count, 3), rotated(yaws.tolist()), index, here, view, random_numbers, 1.6
    )
    assert len(set(beyond.tolist())) > 10 and np.all(np.abs(yaws[beyond] - 37.5) < 4)
    assert len(set(behind.tolist())) > 10 and np.all(np.abs(yaws[behind] - 15) < 4)


def test_empty_parts_of_a_completed_view_do_not_show_its_direction(two_images: PosedPixels) -> None:
    rotation = VirtualRotationConfig(yaw=20.0)
    config = AugmentationConfig(
        random_crop=False, colour_jitter=0.0, virtual_rotation=rotation, virtual_translation=0.4
    )
    random_numbers, index = torch.full((2, RANDOM_NUMBERS), 0.5), torch.tensor([0, 0])
    random_numbers[:, 0], random_numbers[:, COMPLETION] = 0.9, 0.0
    random_numbers[:, TRANSLATION.stop - 1] = torch.tensor([0.25, 0.75])  # 0.2 m back, 0.2 m ahead
    shown = {}
    for share in (0.0, 1.0):
        views = views_of_scene(
            two_images, index, random_numbers, Preprocessing(HEIGHT, SIZE), replace(config, view_completion=share)
        )
        back, ahead = shown[share] = ((views.image_B3HW - EMPTY).abs() > 0.02).any(dim=1)
        # Pixels that happen to have the mean colour count as empty: a few, and different ones.
        assert (back != ahead).float().mean() < 0.002
    assert shown[1.0].float().mean() > shown[0.0].float().mean() + 0.1
