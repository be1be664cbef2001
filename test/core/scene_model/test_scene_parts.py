"""Parts of a scene model: known frames, parity inputs, keyframes. Each is read back exactly and has its bounds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import SIZE, small_model
from untrained import one_scene

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import Keyframes, KnownFrames, Parity, SceneModel
from transposenet_core.scene_model.keyframes import KeyframesFile
from transposenet_core.scene_model.known_frames import SPLITS
from transposenet_core.scene_model.parity import MOST_INPUTS, spread

CAMERA = Intrinsics(16, 12, 20.0, 20.0, 7.5, 5.5)


def some_keyframes(count: int = 3) -> Keyframes:
    rng = np.random.default_rng(0)
    return Keyframes(
        rng.integers(0, 256, (count, 12, 16), dtype=np.uint8),
        rng.uniform(0, 200, (count, 6, 8)).astype(np.float16),
        rng.normal(size=(count, 3)),
        np.tile([0.5, 0.5, -0.5, 0.5], (count, 1)),
        CAMERA,
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.integers(0, 2), st.floats(-1e6, 1e6)), max_size=8))
def test_known_frames_read_back_to_the_bit(rows: list[tuple[str, int, float]]) -> None:
    count = len(rows)
    made = KnownFrames(
        tuple(name.encode(errors="replace").decode() for name, _, _ in rows),
        np.array([split for _, split, _ in rows], np.uint8),
        np.array([[x, -x, 1.0] for _, _, x in rows]).reshape(-1, 3),
        np.tile([1.0, 0, 0, 0], (count, 1)),
    )
    read = KnownFrames.read(made.tensors())
    assert read.names == made.names and read.counts() == made.counts()
    for name in ("split_N", "positions_N3", "orientations_N4"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))


def test_test_frames_are_not_known_to_a_model_and_the_others_by_their_split() -> None:
    pose = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
    splits = ["train", "test", "left_out", "val", "train"]
    images = [PosedImage(f"{k}.png", Path(f"{k}.png"), pose, split, "s", k) for k, split in enumerate(splits)]
    known = KnownFrames.of(Scene("desk", images))
    assert known.names == ("0.png", "2.png", "3.png", "4.png")
    assert [known.names_of(split) for split in SPLITS] == [["0.png", "4.png"], ["3.png"], ["2.png"]]
    assert known.counts() == {"train": 2, "val": 1, "left_out": 1}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"names": ("a",)}, "1 names, 2 splits, 2 poses"),
        ({"names": ("a", "\udcff.png")}, r"frames: a name is '.udcff.png', in which half a character"),
        ({"test_names": ("b" * 5000,)}, "frames: a name is 'bbb.*', a text of at most 4096 characters"),
        ({"split_N": np.array([0, 7])}, "split number 7, there are 3"),
        ({"positions_N3": np.array([[0, 0, 0], [np.nan, 0, 0]])}, "a position that is not finite"),
        ({"positions_N3": np.array([[0, 0, 0], [1e9, 0, 0]])}, "beyond 1e.07"),
        ({"orientations_N4": np.zeros((2, 4))}, "an orientation that is not a unit quaternion"),
        ({"orientations_N4": np.zeros((2, 3))}, r"\(N, 3\) and \(N, 4\) are needed"),
    ],
)
def test_frames_that_do_not_fit_are_refused(change: dict, sentence: str) -> None:
    good = KnownFrames.trained_on(np.zeros((2, 3)), np.eye(4)[:2], ["a", "b"])
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(good, **change)


def test_keyframes_lie_beside_the_weights_and_are_read_when_asked_for(tmp_path: Path) -> None:
    network, options = small_model("transposenet")
    made = some_keyframes()
    scenes = one_scene(keyframes=KeyframesFile.of(made))
    SceneModel("transposenet", options, Preprocessing(72, SIZE), network, scenes).save(tmp_path / "model")
    file = tmp_path / "model" / "keyframes_0.safetensors"
    read = SceneModel.load(tmp_path / "model").scenes[0].keyframes
    assert file.is_file() and read is not None and read.count == 3
    found = read.load()
    assert read.load() is found and found.camera == CAMERA
    for name in ("image_KHW", "depth_Khw", "positions_K3", "orientations_K4"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    again = SceneModel.load(tmp_path / "model")
    again.save(tmp_path / "copy")  # they go where the model goes
    assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match="keyframes_0.safetensors: its tensors cannot be read .* the file is truncated"):
        SceneModel.load(tmp_path / "model").scenes[0].keyframes.load()  # type: ignore[union-attr]
    file.unlink()
    with pytest.raises(UserError, match="its tensors cannot be read .No such file"):
        SceneModel.load(tmp_path / "model").scenes[0].keyframes.load()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"depth_Khw": np.full((3, 6, 8), np.nan, np.float16)}, "a depth that is not finite"),
        ({"depth_Khw": np.full((3, 6, 8), -1, np.float16)}, "or below 0"),
        ({"depth_Khw": np.zeros((2, 6, 8), np.float16)}, "as many of each are needed"),
        ({"depth_Khw": np.zeros((3, 6, 8), np.float64)}, "uint8 .K, H, W. with float16 depth"),
        ({"camera": Intrinsics(8, 6, 10.0, 10.0, 3.5, 2.5)}, "depth at half the images. size"),
        ({"positions_K3": np.full((3, 3), np.inf)}, "a position that is not finite"),
    ],
)
def test_keyframes_that_do_not_fit_are_refused(change: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(some_keyframes(), **change)


def test_a_file_that_is_no_keyframes_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keyframes.safetensors"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=f"{file}: its tensors cannot be read"):
        Keyframes.from_file(file)


def test_parity_is_bounded_and_measures_how_far_another_network_is_off() -> None:
    network, _ = small_model("transposenet")
    image_P3HW = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8)
    parity = Parity.of(network, network.state_dict(), image_P3HW)
    assert max(parity.difference(network.eval())) < 1e-4
    with torch.no_grad():
        network.position_head[-1].bias += torch.tensor([0.0, 0.003, 0.004])
    assert parity.difference(network)[0] == pytest.approx(0.005, abs=1e-4)
    with torch.no_grad():
        network.position_head[-1].bias += torch.nan
    assert np.isnan(parity.difference(network)[0])
    with pytest.raises(ValueError, match=f"{MOST_INPUTS + 1} inputs, 1 to {MOST_INPUTS} are allowed"):
        Parity(*(value[:1].expand(MOST_INPUTS + 1, *value.shape[1:]) for value in parity.tensors().values()))
    assert Parity.read(parity.tensors()).tensors().keys() == parity.tensors().keys()
    with pytest.raises(ValueError, match="an orientation that is not a unit quaternion"):
        Parity.read(parity.tensors() | {"orientation_P4": torch.zeros(2, 4)})


@pytest.mark.parametrize(("count", "places"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (101, [0, 50, 100])])
def test_parity_inputs_are_spread(count: int, places: list[int]) -> None:
    assert spread(count).tolist() == places
