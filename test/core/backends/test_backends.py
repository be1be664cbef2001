"""Back ends: the poses of torch, one exported file, a fixed order, and a reason for what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SIZE, make_attentive, small_model
from untrained import one_scene

from transposenet_core.backends import choice, onnx_file
from transposenet_core.backends.contract import BackendError
from transposenet_core.backends.onnx_file import FOLDER
from transposenet_core.commands import backend_option
from transposenet_core.errors import UserError
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import LowerPrecision, SceneModel

pytest.importorskip("onnx")
RUNTIMES = ("onnxruntime", "openvino")
IMAGE_HW3 = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def saved(folder: Path, name: str = "transposenet_fast", parity: bool = True) -> Path:
    """A small scene model with random weights."""
    network, options = small_model(name)
    make_attentive(network)
    image_P3HW = torch.from_numpy(IMAGE_HW3).permute(2, 0, 1)[None] if parity else None
    model = SceneModel(name, options, Preprocessing(SIZE[0], SIZE), network.eval(), one_scene())
    model.parity_image_P3HW = image_P3HW
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def exported_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = saved(tmp_path_factory.mktemp("models") / "fast")
    for runtime in RUNTIMES:
        pytest.importorskip(runtime)
        Localizer(folder, "cpu", runtime)
    return folder


@pytest.fixture
def model(exported_once: Path, tmp_path: Path) -> Path:
    """A copy of it with its exported file."""
    return Path(shutil.copytree(exported_once, tmp_path / "model"))


@pytest.fixture(autouse=True)
def auto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TRANSPOSENET_BACKEND")
    yield


def files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.onnx"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_poses_are_those_of_torch(model: Path, runtime: str) -> None:
    torch_one, other = Localizer(model, "cpu", "torch").localize(IMAGE_HW3), Localizer(model, "cpu", runtime)
    estimate = other.localize(IMAGE_HW3)
    assert torch_one.backend == "torch float32" and estimate.backend == f"{runtime} float32"
    assert torch_one.pose is not None and estimate.pose is not None
    np.testing.assert_allclose(estimate.pose.position, torch_one.pose.position, atol=1e-4)
    np.testing.assert_allclose(estimate.pose.orientation, torch_one.pose.orientation, atol=1e-4)
    assert len(files(model)) == 1
    away = other.localize(255 - IMAGE_HW3).pose
    assert away is not None and np.linalg.norm(away.position - estimate.pose.position) > 0.01


def test_auto_is_the_first_of_a_fixed_order(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Localizer(model, "cpu").backend.name == "openvino"
    monkeypatch.setenv("TRANSPOSENET_BACKEND", "onnxruntime")
    assert Localizer(model, "cpu").backend.name == "onnxruntime"
    assert Localizer(model, "cpu", "torch").backend.name == "torch"
    monkeypatch.setenv("TRANSPOSENET_BACKEND", "fastest")
    with pytest.raises(UserError, match="TRANSPOSENET_BACKEND=fastest is unknown, allowed are: auto, torch"):
        Localizer(model, "cpu")


def test_the_variable_is_a_preference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retrieval without a backbone has nothing to convert, and runs as ever."""
    network, options = small_model("retrieval")
    noise = torch.rand(5, 3, *SIZE)
    network.memorise(noise, torch.randn(5, 3), torch.nn.functional.normalize(torch.randn(5, 4), dim=-1))
    SceneModel("retrieval", options, Preprocessing(SIZE[0], SIZE), network.eval(), one_scene()).save(tmp_path)
    monkeypatch.setenv("TRANSPOSENET_BACKEND", "openvino")
    assert Localizer(tmp_path, "cpu").backend.name == "torch"
    with pytest.raises(UserError, match="has nothing to run in a model of retrieval with these options; take backend"):
        Localizer(tmp_path, "cpu", "openvino")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_that_share_a_back_end_have_their_own_poses(model: Path, runtime: str) -> None:
    """As the nodes of several cameras do."""
    localizer = Localizer(model, "cpu", runtime)
    images = [np.roll(IMAGE_HW3, 7 * k, axis=1) for k in range(4)]
    expected = [localizer.localize(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(localizer.localize, images * 10))
    for k, estimate in enumerate(found):
        pose, its = estimate.pose, expected[k % 4].pose
        assert pose is not None and its is not None and np.array_equal(pose.position, its.position)


def test_a_missing_package_is_named_and_the_next_is_taken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "openvino" else known(name, *rest)

    monkeypatch.setattr("importlib.util.find_spec", without)
    localizer = Localizer(model, "cpu")
    assert localizer.backend.name == "onnxruntime"
    assert localizer.refused_backends == ["back end openvino needs the Python package openvino, which is not installed"]
    with pytest.raises(UserError, match="needs the Python package openvino, which is not installed; take backend"):
        Localizer(model, "cpu", "openvino")


def test_other_poses_are_refused_and_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exported file of another network stands in its place."""
    other = saved(model.parent / "other")
    network = SceneModel.load(other).network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.01)
    data = onnx_file.exported(network, SIZE)
    monkeypatch.setattr(onnx_file, "exported", lambda network, size: data)
    shutil.rmtree(model / FOLDER)
    localizer = Localizer(model, "cpu")
    assert localizer.backend.name == "torch" and len(localizer.refused_backends) == 2
    assert all("gives other poses than torch" in sentence for sentence in localizer.refused_backends)
    with pytest.raises(UserError, match="gives other poses than torch: .* are allowed; take backend torch, or auto"):
        Localizer(model, "cpu", "openvino")


def test_a_package_that_fails_to_import_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a library of the system is missing."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    localizer = Localizer(model, "cpu")
    assert localizer.backend.name == "onnxruntime"
    assert "needs the Python package openvino, which" in localizer.refused_backends[0]


def test_another_covariance_or_scene_is_found(model: Path) -> None:
    loaded = SceneModel.load(model)
    forward = loaded.network.forward

    def adding(scale: float, scene: int) -> Any:
        more = {"covariance": scale * torch.eye(6)[None], "scene": torch.tensor([scene])}
        return lambda image_B3HW: forward(image_B3HW) | more

    loaded.network.forward = adding(1.0, 0)
    assert choice._against_torch(adding(1.0, 0), loaded) == (True, 0.0)
    assert choice._against_torch(adding(1.21, 0), loaded)[1] == pytest.approx(0.1)
    assert not choice._against_torch(adding(1.0, 1), loaded)[0]


def test_a_link_in_a_model_from_elsewhere_is_not_followed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(model / FOLDER)
    (tmp_path / "elsewhere").mkdir()
    (model / FOLDER).symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("TRANSPOSENET_CACHE", str(tmp_path / "cache"))
    assert Localizer(model, "cpu", "onnxruntime").backend.name == "onnxruntime"
    assert not list((tmp_path / "elsewhere").iterdir()) and len(files(tmp_path / "cache")) == 1


def test_a_key_that_was_cut_short_is_made_anew(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / onnx_file.SECRET).write_bytes(b"")
    monkeypatch.setenv("TRANSPOSENET_CACHE", str(cache))
    written = []
    for _ in range(2):
        Localizer(model, "cpu", "onnxruntime")
        written.append(files(model)[0].stat().st_mtime_ns)
    assert written[0] == written[1] and len((cache / onnx_file.SECRET).read_bytes()) == 32


def test_files_of_earlier_weights_are_removed(model: Path) -> None:
    (path,) = files(model)
    for number in range(6):
        old = path.with_name(f"{number}.onnx")
        old.write_bytes(b"")
        os.utime(old, (number, number))
    shutil.move(path, path.with_name("moved.onnx"))
    Localizer(model, "cpu", "onnxruntime")
    assert [left.name for left in files(model)] == sorted([path.name, "moved.onnx", "4.onnx", "5.onnx"])


@pytest.mark.parametrize("fault", ["cut", "no hash", "other bytes"])
def test_a_damaged_file_is_made_anew(model: Path, fault: str) -> None:
    (path,) = files(model)
    whole = path.read_bytes()
    if fault == "no hash":
        path.with_suffix(".json").unlink()
    path.write_bytes(whole[:1000] if fault == "cut" else whole[:5000] + b"\0" * 9 + whole[5009:])
    assert Localizer(model, "cpu", "onnxruntime").backend.name == "onnxruntime"
    assert path.read_bytes() == whole


def test_a_file_that_came_with_a_model_from_elsewhere_is_not_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its maker can write any file and its hash, but not the key that this user's cache has."""
    (path,) = files(model)
    before = path.with_suffix(".json").read_text()
    for cache in (str(tmp_path / "another user's"), "none"):
        monkeypatch.setenv("TRANSPOSENET_CACHE", cache)
        assert Localizer(model, "cpu", "onnxruntime").backend.name == "onnxruntime"
        after = path.with_suffix(".json").read_text()
        assert after != before
        before = after
    monkeypatch.setenv("TRANSPOSENET_CACHE", str(tmp_path / "another user's"))
    Localizer(model, "cpu", "onnxruntime")
    kept = path.stat().st_mtime_ns
    Localizer(model, "cpu", "openvino")
    assert path.stat().st_mtime_ns == kept
    assert (tmp_path / "another user's" / onnx_file.SECRET).stat().st_mode & 0o777 == 0o600


def test_other_weights_have_another_file(model: Path) -> None:
    before, loaded = files(model), SceneModel.load(model)
    with torch.no_grad():
        next(loaded.network.parameters()).add_(0.1)
    loaded.save(model)
    Localizer(model, "cpu", "onnxruntime")
    assert len(files(model)) == 2 and before[0] in files(model)


def test_a_read_only_scene_model_has_its_file_in_the_cache(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(model / FOLDER)
    (model / FOLDER).write_text("a file in the way: tests may run as root, who can write everywhere")
    monkeypatch.setenv("TRANSPOSENET_CACHE", str(tmp_path / "cache"))
    assert Localizer(model, "cpu", "onnxruntime").backend.name == "onnxruntime"
    assert len(files(tmp_path / "cache")) == 1
    monkeypatch.setenv("TRANSPOSENET_CACHE", "none")
    with pytest.raises(UserError, match="has no place for its file: .* cannot be written to"):
        Localizer(model, "cpu", "onnxruntime")


def test_models_without_parity_inputs_are_checked_with_random_images(tmp_path: Path) -> None:
    assert Localizer(saved(tmp_path / "m", parity=False), "cpu", "onnxruntime").backend.name == "onnxruntime"


def test_what_cannot_be_exported_runs_in_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "m")

    def fails(network: Any, size: tuple[int, int]) -> bytes:
        raise BackendError("cannot run this network: no such operator")

    monkeypatch.setattr(onnx_file, "exported", fails)
    localizer = Localizer(folder, "cpu")
    assert localizer.backend.name == "torch"
    assert localizer.refused_backends[0] == "back end openvino cannot run this network: no such operator"


def test_bfloat16_is_taken_where_training_and_processor_allow_it(model: Path) -> None:
    """The poses of this untrained network hardly depend on the image, so bfloat16 changes them by little."""
    import openvino

    there = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = {}
    for rise in (0.0, 0.03):
        loaded = SceneModel.load(model)
        loaded.bfloat16 = LowerPrecision(rise, 0.0, 0.5, 5.0)
        loaded.save(model)
        assert SceneModel.load(model).bfloat16 == loaded.bfloat16
        found[rise] = Localizer(model, "cpu", "openvino").localize(IMAGE_HW3).backend
    assert found == {0.0: f"openvino {'bfloat16' if there else 'float32'}", 0.03: "openvino float32"}


@pytest.mark.parametrize("wrong", [{"position_rise": 0.1}, {"p95_deg": -1}, "small"])
def test_a_wrong_bfloat16_is_refused(model: Path, wrong: Any) -> None:
    path = model / "scene.json"
    numbers = LowerPrecision(0.0, 0.0, 0.1, 1.0).to_dict()
    description = json.loads(path.read_text())
    if isinstance(wrong, dict) and "p95_deg" not in wrong:
        del numbers["p95_m"]
    description["bfloat16"] = {**numbers, **wrong} if isinstance(wrong, dict) else wrong
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match="do not fit together"):
        SceneModel.load(model)


def test_the_options_of_the_commands_are_the_back_ends() -> None:
    assert backend_option.BACKENDS == choice.BACKENDS and set(choice.AUTO) == set(choice.BACKENDS) - {"auto"}
    parameters = Path(__file__).resolve().parents[3] / "transposenet_ros" / "parameters.py"
    listed = ", ".join(f'"{name}"' for name in choice.BACKENDS)
    assert f"choices=({listed})" in parameters.read_text()
