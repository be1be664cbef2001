"""The scene model: what is written is read back to the bit, and whatever is wrong with a folder is one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import (
    DESCRIPTION,
    WEIGHTS,
    Calibration,
    HeldOutError,
    KnownFrames,
    MappedScene,
    SceneModel,
)

VALID = {"smaller_edge": 32, "image_size": [32, 48]}
OPTIONS = {"image_size": [32, 48], "layers": 1, "width": 32, "mlp_width": 32, "head_width": 32}


CALIBRATION = {"transposenet": Calibration((90.0, 110.5), 0.25)}


def make_scene(**fields: object) -> MappedScene:
    return MappedScene(
        name="desk",
        map_frame="lab_map",
        held_out_error=HeldOutError((0.1, 0.2, 0.3), (0.01, 0.02, 0.03), "40 held-out frames"),
        intrinsics=Intrinsics(640, 480, 525.0, 526.0, 320.0, 240.0, "made up", rectified=True),
        frames=KnownFrames(
            ("a.png", "b.png", "c\nü.png", "d.png"),
            np.array([0, 1, 2, 0]),
            np.arange(12.0).reshape(4, 3) / 3,
            np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 0, 1]]),
        ),
        units="arbitrary",
        time_offset_s=-0.021,
        calibration=CALIBRATION,
        **fields,
    )


def make_model() -> SceneModel:
    torch.manual_seed(0)
    return SceneModel(
        architecture="transposenet",
        options=OPTIONS,
        preprocessing=Preprocessing(32, (32, 48)),
        network=build_model("transposenet", **OPTIONS).eval(),
        scenes=(make_scene(),),
        provenance={"epoch": 3},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_model().save(tmp_path / "model")
    return tmp_path / "model"


def test_whose_poses_they_are_is_kept(folder: Path) -> None:
    made = make_model()
    T_pose_camera = Pose(np.array([0.03, -0.01, 0.2]), np.array([0.9, 0.1, -0.2, 0.3]))
    made.scenes = (make_scene(T_pose_camera=T_pose_camera),)
    made.save(folder)
    read = SceneModel.load(folder).scenes[0].T_pose_camera
    assert read is not None
    np.testing.assert_array_equal(read.matrix_44, T_pose_camera.matrix_44)


def test_round_trip_is_exact(folder: Path) -> None:
    made, read = make_model(), SceneModel.load(folder)
    for name in ("architecture", "options", "preprocessing", "provenance", "title", "camera"):
        assert getattr(read, name) == getattr(made, name), name
    (mine,), (theirs,) = read.scenes, made.scenes
    for name in ("name", "map_frame", "held_out_error", "intrinsics", "units", "time_offset_s", "calibration"):
        assert getattr(mine, name) == getattr(theirs, name), name
    assert mine.T_pose_camera is mine.keyframes is read.parity is None
    assert mine.frames.names == theirs.frames.names and mine.frames.names_of("left_out") == ["c\nü.png"]
    for name in ("split_N", "positions_N3", "orientations_N4"):
        np.testing.assert_array_equal(getattr(mine.frames, name), getattr(theirs.frames, name))
    np.testing.assert_array_equal(mine.training_positions_N3, theirs.frames.positions_N3[[0, 3]])
    np.testing.assert_array_equal(mine.training_orientations_N4, theirs.frames.orientations_N4[[0, 3]])
    for key, value in made.network.state_dict().items():
        torch.testing.assert_close(read.network.state_dict()[key], value, atol=0, rtol=0)


def test_half_precision_halves_the_file_and_moves_a_pose_by_millimetres(folder: Path, tmp_path: Path) -> None:
    make_model().save(tmp_path / "half", half_precision=True)
    sizes = [(f / WEIGHTS).stat().st_size for f in (folder, tmp_path / "half")]
    assert sizes[1] < 0.6 * sizes[0]
    image_HW3 = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    whole, half = (Localizer(f).localize(image_HW3) for f in (folder, tmp_path / "half"))
    np.testing.assert_allclose(half.pose.position, whole.pose.position, atol=5e-3)


def test_localizer_returns_a_complete_estimate(folder: Path) -> None:
    localizer = Localizer(folder, device="cpu")
    localizer.warm_up()
    image_HW3 = np.full((480, 640, 3), 90, np.uint8)
    estimate, again = localizer.localize(image_HW3), localizer.localize(image_HW3)
    assert (estimate.localized, estimate.reason, estimate.scene, estimate.map_frame) == (True, "", "desk", "lab_map")
    np.testing.assert_allclose(np.diag(estimate.covariance_66), np.square([0.1, 0.2, 0.3, 0.01, 0.02, 0.03]))
    np.testing.assert_array_equal(estimate.pose.position, again.pose.position)
    with torch.inference_mode():
        output = localizer.scene_model.network(localizer.scene_model.preprocessing(image_HW3))
    np.testing.assert_allclose(estimate.pose.position, output["position"][0], atol=1e-7)


def test_n12_a_network_that_returns_nan_is_not_localized(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.network.position_head[-1].bias.fill_(float("nan"))
    model.save(tmp_path / "nan")
    estimate = Localizer(tmp_path / "nan").localize(np.zeros((48, 64, 3), np.uint8))
    assert (estimate.localized, estimate.reason, estimate.pose) == (False, "non_finite_output", None)
    assert np.isfinite(estimate.covariance_66).all()


def rewrite(folder: Path, **changes: object) -> None:
    description = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(description | changes))


def rewrite_scene(folder: Path, **changes: object) -> None:
    """Dotted keys go down: ``intrinsics.fx`` is written ``intrinsics__fx`` here."""
    description = json.loads((folder / DESCRIPTION).read_text())
    for key, value in changes.items():
        *above, last = key.split("__")
        place = description["scenes"][0]
        for name in above:
            place = place[name]
        place[last] = value
    (folder / DESCRIPTION).write_text(json.dumps(description))


def test_an_older_description_is_in_metres_and_names_no_test_frames(tmp_path: Path) -> None:
    make_model().save(tmp_path)
    assert SceneModel.load(tmp_path).scenes[0].units == "arbitrary"
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    del description["scenes"][0]["units"], description["scenes"][0]["test_frames"]
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    (scene,) = SceneModel.load(tmp_path).scenes
    assert (scene.units, scene.frames.test_names) == ("metres", ())
    rewrite_scene(tmp_path, test_frames=3)
    with pytest.raises(UserError, match="test_frames is 3 in the description, 0 names are beside it"):
        SceneModel.load(tmp_path)


def truncate(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1000])


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def other_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\x80\x04 a pickle would start like this")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / WEIGHTS).unlink(), "model.safetensors missing"),
        (lambda f: (f / DESCRIPTION).unlink(), "scene.json missing"),
        (truncate, "tensors cannot be read .* the file is truncated or of another model"),
        (other_weights, "tensors cannot be read .*, at most 8388608 are allowed"),
        (flip_a_bit, "bytes whose hash is not the one in the description"),
        (lambda f: (f / DESCRIPTION).write_text("{"), "not valid JSON"),
        (lambda f: (f / DESCRIPTION).write_text("[" * 100_000), "not valid JSON"),
        (lambda f: rewrite(f, schema=1), "schema 1 found, this version reads schema 2; train the scene again"),
        (lambda f: rewrite(f, architecture={"name": "gone", "options": {}}), "unknown model 'gone'"),
        (lambda f: rewrite(f, architecture={"name": "transposenet", "options": OPTIONS | {"layers": 2}}), "do not fit"),
        (
            lambda f: rewrite(f, architecture={"name": "transposenet", "options": {"width": 1e9}}),
            "width is 1000000000.0, a whole number from 1 to 1024",
        ),
        (lambda f: rewrite(f, preprocessing={"size": 3}), "do not fit together"),
        (
            lambda f: rewrite(f, preprocessing={"smaller_edge": 10**9, "image_size": [32, 48]}),
            "smaller_edge is 1000000",
        ),
        (lambda f: rewrite(f, preprocessing={"smaller_edge": 32, "image_size": [32, 1e6]}), "image_size is 1000000.0"),
        (lambda f: rewrite(f, preprocessing=VALID | {"crops": 10**9}), "crops is 1000000000, a whole number from 1"),
        (lambda f: rewrite(f, scenes=[]), "scenes is of 0 entries, a list of 1 to 1000 is allowed"),
        (lambda f: rewrite(f, scenes=[3]), "scene is 3, a JSON object"),
        (
            lambda f: rewrite_scene(f, held_out_error__position_std=[1, 1]),
            "position_std is .1, 1., 3 numbers are needed",
        ),
        (lambda f: rewrite_scene(f, held_out_error__position_std=[1, 1, -1]), "position_std is -1, a number above 0"),
        (
            lambda f: rewrite_scene(f, held_out_error__position_std=[1, 1, 1e99]),
            "position_std is 1e.99, a number above",
        ),
        (
            lambda f: rewrite_scene(f, calibration__transposenet__covariance_scale=[-1, 2]),
            "covariance_scale is -1, a num",
        ),
        (
            lambda f: rewrite_scene(f, calibration__transposenet__largest_sigma_m=0),
            "largest_sigma_m is 0, a number above",
        ),
        (lambda f: rewrite_scene(f, intrinsics__fx=0), "intrinsics.fx is 0, a number above 0"),
        (lambda f: rewrite_scene(f, intrinsics__width=10**6), "intrinsics.width is 1000000, a whole number from 1"),
        (lambda f: rewrite_scene(f, intrinsics__cy="1"), "intrinsics.cy is 1, a number from"),
        (lambda f: rewrite_scene(f, units="feet"), "units is 'feet', one of metres, arbitrary"),
        (lambda f: rewrite_scene(f, time_offset_s=1e6), "time_offset_s is 1000000.0, a number from -3600 to 3600"),
        (lambda f: rewrite_scene(f, name="x" * 5000), "name is 'xxx.*', a text of at most 4096"),
        (lambda f: rewrite_scene(f, frames={"train": 9}), "frames are .'train': 9. in the description"),
        (lambda f: rewrite_scene(f, keyframes={"file": "../x", "count": 1, "sha256": ""}), "file in the same folder"),
    ],
)
def test_n29_a_damaged_model_is_named(folder: Path, damage: object, sentence: str) -> None:
    damage(folder)
    with pytest.raises(UserError, match=sentence) as error:
        Localizer(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_n29_a_missing_folder_and_a_wrong_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder; a scene model is a folder with"):
        Localizer(tmp_path / "absent")
    with pytest.raises(UserError, match="scene.json and model.safetensors missing"):
        Localizer(tmp_path)


def test_n27_cuda_is_refused_where_there_is_none(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UserError, match="torch finds no CUDA device; use device 'auto' or 'cpu'"):
        Localizer(folder, device="cuda")
    assert Localizer(folder, device="auto").device.type == "cpu"
    with pytest.raises(UserError, match="backend 'tpu' is unknown, allowed are: auto, torch"):
        Localizer(folder, backend="tpu")


def test_half_precision_keeps_a_map_far_from_its_origin_exact(tmp_path: Path) -> None:
    model = make_model()
    model.network.start_from(torch.tensor([3001.23, -512.77, 300.11]), torch.tensor([1.0, 0.0, 0.0, 0.0]))
    for name, half in (("whole", False), ("half", True)):
        model.save(tmp_path / name, half_precision=half)
    image_HW3 = np.full((96, 128, 3), 90, np.uint8)
    whole, half = (Localizer(tmp_path / name).localize(image_HW3).pose.position for name in ("whole", "half"))
    np.testing.assert_allclose(half, whole, atol=5e-3)
