"""A scene model from elsewhere: whatever it asks for is bounded before anything is built or read."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import OPTIONS, SIZE, small_model
from untrained import one_scene

from transposenet_core.errors import UserError
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options, model_class, model_names
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.presets import preset_names, preset_path
from transposenet_core.scene_model import DESCRIPTION, WEIGHTS, SceneModel
from transposenet_core.scene_model.weights import stored_network, without_memory
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.network import preprocessing_of

ROOT = Path(__file__).resolve().parents[3]
EACH = pytest.mark.parametrize("name", model_names())
EXTREMES: list[Any] = [10**9, -(10**9), 1e300, float("nan"), float("inf"), 10**400, "x" * 5000, [[]] * 5000, {"a": {}}]

LARGE_CAMERA = {"width": 32_000, "height": 32_000, "fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0}  # to warp images into

# A change of the demo's description -> what is refused. Each hung, filled the memory or ended in a traceback.
HOSTILE: list[tuple[str, object, str]] = [
    ("architecture options layers", 10**8, "layers is 100000000, a whole number from 0 to 48"),
    ("architecture options iterations", 10**9, "iterations is 1000000000, a whole number from 0 to 100"),
    ("architecture options image_size", [60_000, 60_000], "image_size is 60000, a whole number from 1 to 4096"),
    ("architecture options image_size", [4096, 4096], "image_size is 4096 x 4096, at most 2097152 pixels"),
    ("architecture options image_size", [1024, 1280], r"a map of 128 x 160 cells, at most 16384"),
    ("architecture options width", 1024, "tensor model.project.weight is F16 .256, 112, 1, 1., F32 or F16 .1024,"),
    ("architecture options layers", 48, "tensor model.layers.4.* is missing"),
    ("preprocessing crops", 10**9, "crops is 1000000000, a whole number from 1 to 1024"),
    ("preprocessing crops", 4, "crops is 4, and scene_coordinates knows the rays of the centre's window alone"),
    ("preprocessing smaller_edge", 10**9, "smaller_edge is 1000000000, a whole number from 1 to 4096"),
    ("preprocessing image_size", [480, 640], r"images are cut to .480, 640., the network is for .96, 128."),
    ("preprocessing image_size", 10**400, "image_size is 1000"),
    ("scenes", [{}] * 1001, "scenes is of 1001 entries, a list of 1 to 1000"),
    ("scenes 0 frames train", 10**12, "frames.train is 1000000000000, a whole number from 0 to 2000000"),
    ("scenes 0 frames train", 1_999_999, r"tensor frames.0.split_N is U8 .2000,., U8 .2000583. is needed"),
    ("scenes 0 intrinsics", LARGE_CAMERA, "intrinsics of 32000 x 32000 pixels, at most 134217728"),
    ("scenes 0 name", "\ud800", "half a character"),
    ("schema", [[[]]] * 10**6, "at most 4194304"),
]


def memory_mb(name: str) -> float:
    """VmRSS, or VmHWM: its peak since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def changed(description: dict, path: str, value: object) -> str:
    *above, last = path.split()
    copy = place = json.loads(json.dumps(description))
    for key in above:
        place = place[int(key) if key.isdecimal() else key]
    place[last] = value
    return json.dumps(copy)


def test_n29_what_a_description_asks_for_is_refused_within_a_second_and_500_mb(tmp_path: Path) -> None:
    os.symlink(ROOT / "demo" / "model" / WEIGHTS, tmp_path / WEIGHTS)
    description = json.loads((ROOT / "demo" / "model" / DESCRIPTION).read_text())
    compiler = "sympy" in sys.modules
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mb("VmRSS")
    for path, value, sentence in HOSTILE:
        (tmp_path / DESCRIPTION).write_text(changed(description, path, value))
        started = time.perf_counter()
        with pytest.raises(UserError, match=sentence) as error:
            SceneModel.load(tmp_path)
        assert time.perf_counter() - started < 1, (path, value)
        assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert memory_mb("VmHWM") - before < 500
    for name, options in OPTIONS.items():
        without_memory(name, options)
    # Some operations on the meta device import a part of torch's compiler: two seconds of a node's start.
    assert ("sympy" in sys.modules) == compiler


def test_n29_weights_that_fill_the_memory_are_refused_by_their_header(tmp_path: Path) -> None:
    network, options = small_model("transposenet_fast")
    SceneModel("transposenet_fast", options, Preprocessing(72, SIZE), network, one_scene()).save(tmp_path)
    header = json.dumps({"model.x": {"dtype": "F32", "shape": [400_000_000], "data_offsets": [0, 1_600_000_000]}})
    (tmp_path / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header.encode())
    os.truncate(tmp_path / WEIGHTS, 8 + len(header) + 1_600_000_000)  # holes take no disk
    with pytest.raises(UserError, match="tensor model.backbone.stem.weight is missing"):
        SceneModel.load(tmp_path)
    os.truncate(tmp_path / WEIGHTS, 2**31 + 1)
    with pytest.raises(UserError, match="2147483649 bytes, at most 2147483648 are allowed"):
        SceneModel.load(tmp_path)


@EACH
def test_every_option_has_its_bounds(name: str) -> None:
    model = model_class(name)
    assert list(model.ALLOWED) == list(model.OPTIONS), "declare the values that an option may have beside it"
    for option, default in default_options(name).items():
        model.ALLOWED[option](option, default)
    for option in model.OPTIONS:
        for value in EXTREMES:
            if option == "teacher_options" and isinstance(value, dict):  # another model's, which has its own
                continue
            with pytest.raises((ValueError, UserError)):
                build_model(name, **{"image_size": list(SIZE), **OPTIONS[name], option: value})


def test_an_option_without_bounds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(model_class("retrieval").ALLOWED, "ridge")
    with pytest.raises(KeyError, match="ridge"):
        build_model("retrieval", ridge=0.1)


@EACH
def test_a_network_without_memory_has_the_tensors_of_a_real_one(name: str) -> None:
    network, options = small_model(name)
    random_state = torch.get_rng_state()
    bare = without_memory(name, options)
    assert stored_network(bare) == stored_network(network)
    assert torch.equal(torch.get_rng_state(), random_state)  # a seeded training that starts from a model stays the same


@pytest.mark.parametrize("preset", preset_names())
def test_presets_are_within_the_bounds(preset: str) -> None:
    config = load_config(preset_path(preset))
    assert preprocessing_of(config).image_size == (config.image.height, config.image.width)
    checks = model_class(config.model.name).ALLOWED
    refused = {}
    for option, value in config.model.options.items():
        try:
            checks[option](option, value)
        except ValueError as error:
            refused[option] = str(error)
    assert refused == {}


def test_numbers_that_would_fail_later_are_refused_at_loading(tmp_path: Path) -> None:
    memory, options = small_model("retrieval")
    memory.memorise(torch.randn(3, 3, *SIZE), torch.randn(3, 3), torch.eye(4)[:3])
    memory.positions_N3[1, 2] = torch.nan
    SceneModel("retrieval", options, Preprocessing(72, SIZE), memory, one_scene()).save(tmp_path / "memory")
    with pytest.raises(UserError, match="the memory holds a number that is not finite"):
        SceneModel.load(tmp_path / "memory")
    student, options = small_model("pose_autoencoder", decoder=False)
    student.scenes_N[0] = 2**40  # asked for terabytes at the first image
    SceneModel("pose_autoencoder", options, Preprocessing(72, SIZE), student, one_scene()).save(tmp_path / "student")
    with pytest.raises(UserError, match="scenes_N names a scene that is none of the 1"):
        SceneModel.load(tmp_path / "student")


def test_many_windows_are_looked_at_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, options = small_model("posenet")
    SceneModel("posenet", options, Preprocessing(80, SIZE, 6), network.eval(), one_scene()).save(tmp_path)
    image_HW3 = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    localizer = Localizer(tmp_path, "cpu")
    whole = localizer.localize(image_HW3).pose
    monkeypatch.setattr("transposenet_core.geometry.pose_averaging.MOST_PIXELS_AT_ONCE", 2 * SIZE[0] * SIZE[1])
    parts = localizer.localize(image_HW3).pose
    assert whole is not None and parts is not None
    np.testing.assert_allclose(parts.position, whole.position, atol=1e-6)
    np.testing.assert_allclose(parts.orientation, whole.orientation, atol=1e-6)
