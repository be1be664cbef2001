"""The motion test: the right convention of the poses wins on real and drawn images, each wrong one is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from core.dataset_check.made_room import made_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check import conventions
from transposenet_core.dataset_check.epipolar import epipolar_image, median_residual_px
from transposenet_core.dataset_check.matching import Matches, match_neighbours
from transposenet_core.formats import load_scene
from transposenet_core.formats.declared_convention import AXES, PoseConvention, all_conventions
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene

LEVEL = AXES["ROS body"]
WRONG = [
    PoseConvention("map-to-camera"),
    PoseConvention("centre + map-to-camera"),
    PoseConvention(order="xyzw"),
    PoseConvention(order="zwxy"),
    PoseConvention(axes="OpenGL"),
    PoseConvention(axes="ROS body"),
    PoseConvention("map-to-camera", "xyzw"),
    PoseConvention("map-to-camera", axes="OpenGL"),
]


def walk(count: int = 40) -> list[Pose]:
    """A hand-held camera in the room: all three axes of rotation, all three of translation."""
    s = np.linspace(0, 2 * np.pi, count)
    rotations = np.stack([35 * np.sin(2 * s), 12 * np.sin(3 * s + 1), 10 * np.sin(4 * s)], -1)
    R = Rotation.from_euler("ZYX", rotations, degrees=True) * Rotation.from_matrix(LEVEL)
    places = np.stack([-1 + np.sin(s), 1.2 * np.cos(2 * s), 0.5 * np.sin(3 * s)], -1)
    return [Pose(p, q) for p, q in zip(places, R.as_quat(scalar_first=True), strict=True)]


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> tuple[Scene, Matches]:
    scene = made_scene(tmp_path_factory.mktemp("room"), walk())
    return scene, match_neighbours(scene, 20)


def red_kitchen(data_folder) -> Scene:
    return load_scene(
        f"7scenes:{data_folder / '7scenes' / 'redkitchen'}", data_folder / "splits" / "redkitchen_b50_fold0.csv"
    )


def office(data_folder) -> Scene:
    K = np.loadtxt(data_folder / "office" / "K.txt")
    poses = np.loadtxt(data_folder / "office" / "poses.txt").reshape(-1, 4, 4)
    files = sorted((data_folder / "office" / "images").glob("*.jpg"))
    images = [
        PosedImage(file.name, file, Pose.from_matrix(T), "train", "office", k / 30)
        for k, (file, T) in enumerate(zip(files, poses, strict=True))
    ]
    return Scene("office", images, intrinsics=Intrinsics(540, 360, K[0, 0], K[1, 1], K[0, 2], K[1, 2], "K.txt", True))


def repose(matches: Matches, change) -> Matches:
    """The same matches with other poses."""

    def frame(image: PosedImage) -> PosedImage:
        return replace(image, pose=change(image.pose))

    pairs = [replace(pair, first=frame(pair.first), second=frame(pair.second)) for pair in matches.pairs]
    return replace(matches, pairs=pairs)


def written_as(convention: PoseConvention):
    """The pose that results if it was written as `convention` and read as this project's own."""

    def change(pose: Pose) -> Pose:
        R = Rotation.from_quat(pose.orientation[None], scalar_first=True)
        p, q = convention.numbers(pose.position[None], R)
        return Pose(p[0], q[0])

    return change


def check_all_conventions(scene: Scene, matches: Matches, least_margin: float, wrong: list[PoseConvention]) -> None:
    right = conventions.test_conventions(scene, matches)
    assert right.outcome == "as given" and not right.wrong and right.margin > least_margin, right.sentence()
    assert "as declared" in right.sentence()
    for convention in wrong:
        verdict = conventions.test_conventions(scene, repose(matches, written_as(convention)))
        assert verdict.outcome == "another convention" and verdict.wrong, verdict.sentence()
        assert verdict.winner is not None and verdict.winner.convention == convention
        assert verdict.winner.share - verdict.score(PoseConvention()).share > least_margin, verdict.sentence()
        assert str(convention) in verdict.sentence() and f"declared is {PoseConvention()}" in verdict.sentence()


def test_on_drawn_images_the_right_convention_wins_and_each_wrong_one_is_caught(room):
    check_all_conventions(*room, least_margin=0.5, wrong=WRONG)


@pytest.mark.parametrize("load", [red_kitchen, office])
def test_on_real_images_the_right_convention_wins_and_each_wrong_one_is_caught(load, data_folder):
    scene = load(data_folder)
    check_all_conventions(scene, match_neighbours(scene, 16), least_margin=0.4, wrong=WRONG[:6])


def test_poses_of_a_base_are_recognised_as_another_body(room):
    scene, matches = room
    T_base_camera = Pose(
        np.array([0.3, 0.1, 0.4]), Rotation.from_euler("xyz", [-60, 20, -140], degrees=True).as_quat(scalar_first=True)
    )
    verdict = conventions.test_conventions(scene, repose(matches, lambda pose: pose @ T_base_camera.inverse()))
    assert verdict.outcome == "another body" and verdict.wrong, verdict.sentence()
    body = verdict.winner.convention
    np.testing.assert_allclose(body.lever_3, T_base_camera.position, atol=0.05)
    rotation = Rotation.from_matrix(body.R_body_camera_33.T @ T_base_camera.rotation_33).magnitude()
    assert np.degrees(rotation) < 1.0 and "another body" in verdict.sentence()


def test_a_given_convention_that_is_right_is_confirmed_by_its_own_name(room):
    scene, matches = room
    verdict = conventions.test_conventions(scene, matches, given=PoseConvention("map-to-camera", "xyzw", "OpenGL"))
    assert verdict.outcome == "as given" and verdict.winner.convention == PoseConvention(
        "map-to-camera", "xyzw", "OpenGL"
    )


def test_t03_poses_of_other_images_fit_no_convention(room):
    scene, matches = room
    poses = {image.name: scene.images[(k * 17 + 5) % len(scene.images)].pose for k, image in enumerate(scene.images)}
    pairs = [
        replace(
            pair,
            first=replace(pair.first, pose=poses[pair.first.name]),
            second=replace(pair.second, pose=poses[pair.second.name]),
        )
        for pair in matches.pairs
    ]
    verdict = conventions.test_conventions(scene, replace(matches, pairs=pairs))
    assert verdict.outcome == "no convention fits" and verdict.wrong, verdict.sentence()


def test_a_camera_that_only_rotates_is_not_refused(tmp_path):
    poses = [Pose(np.zeros(3), pose.orientation) for pose in walk(24)]
    verdict = conventions.test_conventions(made_scene(tmp_path, poses))
    assert verdict.outcome in ("undecided", "as given"), verdict.sentence()
    contenders = {score.convention for score in verdict.contenders}
    assert PoseConvention() in contenders and not verdict.wrong


def test_without_motion_it_is_undecided(tmp_path):
    verdict = conventions.test_conventions(made_scene(tmp_path, walk(1) * 12))
    assert verdict.outcome == "too few pairs" and not verdict.wrong and verdict.winner is None
    assert "undecided: only 0 of 11 places" in verdict.sentence()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(all_conventions(PoseConvention())))
def test_numbers_and_poses_are_each_others_inverse(seed, convention):
    rng = np.random.default_rng(seed)
    R, places = Rotation.random(5, rng=rng), rng.normal(size=(5, 3))
    places_again, R_again = convention.poses(*convention.numbers(places, R))
    np.testing.assert_allclose(places_again, places, atol=1e-12)
    assert (R.inv() * R_again).magnitude().max() < 1e-7


def test_the_epipolar_image_shows_lines_and_the_residual(room):
    _, matches = room
    pair = matches.pairs[0]
    image_HW3 = epipolar_image(pair, matches.lens)
    assert image_HW3.shape == (240, 640, 3) and image_HW3.dtype == np.uint8
    assert np.ptp(image_HW3.astype(int), axis=2).max() > 200  # grey frames, coloured lines
    assert median_residual_px(pair, matches.lens) < 0.5
    wrong = repose(replace(matches, pairs=[pair]), written_as(PoseConvention("map-to-camera"))).pairs[0]
    assert median_residual_px(wrong, matches.lens) > 5
