"""Every model fulfils `models.contract`, and code outside of `models` uses nothing beyond it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import OPTIONS, SIZE, make_attentive, small_model
from torch import nn
from untrained import one_scene

from transposenet_core.backends.onnx_file import exported
from transposenet_core.backends.onnxruntime_backend import OnnxRuntimeBackend
from transposenet_core.backends.openvino_backend import OpenVinoBackend
from transposenet_core.models import default_options, model_class, model_names
from transposenet_core.models.contract import ALWAYS, OUTPUTS, PoseModel
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.losses.registry import LOSSES

ROOT = Path(__file__).resolve().parents[3]
EACH = pytest.mark.parametrize("name", model_names())


def images(count: int = 3) -> torch.Tensor:
    noise = np.random.default_rng(1).integers(0, 256, (count, 3, *SIZE), dtype=np.uint8)
    return normalise(torch.from_numpy(noise))


def poses(count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    orientations_N4 = rng.normal(size=(count, 4)) + [6, 0, 0, 0]
    return rng.normal(size=(count, 3)) + [40, -7, 1], orientations_N4 / np.linalg.norm(orientations_N4, axis=1)[:, None]


@torch.no_grad()
def started(name: str) -> Any:
    """A network that has seen its training poses, and its training images where it memorises them."""
    network, _ = small_model(name)
    network.start_from_poses([poses()])
    if network.MEMORISES:
        network.memorise(images(5), torch.randn(5, 3), torch.nn.functional.normalize(torch.randn(5, 4), dim=-1))
    return network


def check_output(output: dict[str, torch.Tensor], count: int) -> None:
    """Every tensor is in the table with its axes, and each letter is one size throughout."""
    sizes: dict[str, int] = {"B": count}
    for key, value in output.items():
        axes = OUTPUTS[key].axes
        assert value.dim() == len(axes), key
        for axis, size in zip(axes, value.shape, strict=True):
            assert size == (axis if isinstance(axis, int) else sizes.setdefault(axis, size)), (key, axis, size)


def test_every_model_has_a_small_one_here() -> None:
    assert set(OPTIONS) == set(model_names())


@EACH
def test_it_is_a_pose_model_and_documents_its_options(name: str) -> None:
    model: Any = model_class(name)
    assert issubclass(model, nn.Module) and PoseModel in model.__mro__
    assert list(default_options(name)) == list(model.OPTIONS)
    assert model.DEFAULTS.keys() <= model.OPTIONS.keys()
    assert model.LOSS in LOSSES and model.LEARNS_FROM in ("images", "teacher")
    assert model.TAKES_CAMERA == ("camera" in model.OPTIONS) and model.TAKES_SCENES == ("scenes" in model.OPTIONS)
    assert {*model.SILENT_OPTIONS, *filter(None, [model.PRIOR_OPTION])} <= model.OPTIONS.keys()


@EACH
def test_its_attributes_are_those_of_the_contract(name: str) -> None:
    network = started(name)
    assert network.image_size == SIZE and network.scenes == 1
    assert network.backbone is None or isinstance(network.backbone, nn.Module)
    assert all(isinstance(getattr(network, head), nn.Module) for head in network.HEADS)
    assert (network.latent_width > 0) == network.HAS_LATENTS
    assert all(torch.equal(v, network.earlier_state(network.state_dict())[k]) for k, v in network.state_dict().items())


@EACH
def test_its_output_is_in_the_table(name: str) -> None:
    network = started(name).eval()
    with torch.inference_mode():
        output = network(images())
    check_output(output, 3)
    assert set(ALWAYS) <= output.keys() and all(value.isfinite().all() for value in output.values())
    torch.testing.assert_close(output["orientation"].norm(dim=-1), torch.ones(3))


@EACH
def test_what_it_learns_from_is_in_the_table(name: str) -> None:
    network = started(name)
    if network.MEMORISES or network.LEARNS_FROM == "teacher":
        pytest.skip("it does not learn by a loss on images")
    output = network.train()(images())
    check_output(output, 3)
    assert sum(value.sum() for value in output.values() if value.is_floating_point()).requires_grad


@EACH
def test_it_starts_from_the_training_poses(name: str) -> None:
    """An untrained network of one scene returns a pose near their mean; a memory holds the poses themselves, an
    auto-encoder has its trained teacher."""
    network = started(name).eval()
    if network.MEMORISES or network.LEARNS_FROM == "teacher":
        pytest.skip("its output comes from memorised images or a teacher")
    with torch.inference_mode():
        position_B3 = network(images())["position"]
    assert (position_B3 - torch.from_numpy(poses()[0].mean(axis=0)).float()).norm(dim=-1).max() < 8


@EACH
def test_with_attention_the_pose_is_the_same(name: str) -> None:
    network = started(name).eval()
    with torch.inference_mode():
        plain = network(images())
        assert not any(key.endswith("_attention") for key in plain)
        if not network.has_attention:
            return
        asked = network(images(), with_attention=True)
    check_output(asked, 3)
    assert {"position_attention", "orientation_attention"} <= asked.keys()
    assert all(torch.equal(asked[key], plain[key]) for key in ALWAYS)


@EACH
def test_latents_are_halfway(name: str) -> None:
    network = started(name).eval()
    if not network.HAS_LATENTS:
        with pytest.raises(TypeError, match="has no latents"):
            network.encode(images())
        with pytest.raises(TypeError, match="has no latents"):
            network.regress({})
        return
    with torch.inference_mode():
        latents, whole = network.encode(images()), network(images())
        halves = network.regress(latents)
    check_output(latents, 3)
    assert latents["position_latent"].shape == latents["orientation_latent"].shape == (3, network.latent_width)
    assert all(torch.allclose(halves[key], whole[key], atol=1e-6) for key in ALWAYS)


@EACH
def test_memory_cells_and_rendering_work_or_are_refused(name: str) -> None:
    network = started(name)
    if network.MEMORISES:
        network.forget()
    else:
        with pytest.raises(TypeError, match="does not memorise"):
            network.memorise(images(), torch.zeros(3, 3), torch.zeros(3, 4))
        with pytest.raises(TypeError, match="does not memorise"):
            network.forget()
    if network.can_render:
        image_B3HW = network.render(torch.zeros(2, 3), torch.tensor([[1.0, 0, 0, 0]] * 2))
        assert image_B3HW.shape[:2] == (2, 3) and 0 <= image_B3HW.min() <= image_B3HW.max() <= 1
    else:
        with pytest.raises(TypeError, match="cannot render"):
            network.render(torch.zeros(2, 3), torch.zeros(2, 4))
    if not network.HAS_CELLS:
        with pytest.raises(TypeError, match="has no such cells"):
            network.cells_seen()
        return
    network, _ = small_model(name, camera=[70.0, 70.0, 47.5, 35.5])
    channels, centres_N2, rays_N3 = network.cells_seen()
    cells = network.train()(images())["cells_map"]
    assert channels == cells.shape[1] and len(centres_N2) == len(rays_N3) == cells.shape[2] * cells.shape[3]


@EACH
def test_a_fixed_window_is_one_that_the_weights_know(name: str) -> None:
    model, options = model_class(name), OPTIONS[name]
    fixed = options | {"camera": [70.0, 70.0, 47.5, 35.5], "position_encoding": "rays"}
    if "position_encoding" in model.OPTIONS:
        assert model.has_fixed_window(fixed) and not model.has_fixed_window(options)
    elif model.LEARNS_FROM == "teacher":
        assert model.has_fixed_window({"teacher": "transposenet", "teacher_options": fixed})
        assert not model.has_fixed_window({"teacher": "transposenet", "teacher_options": options})
    else:
        assert model.has_fixed_window(options) == model.TAKES_CAMERA


@EACH
@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_returns_the_poses_of_its_parity_inputs(name: str, half: bool, tmp_path: Path) -> None:
    network, options = small_model(name)
    if network.MEMORISES:
        network.memorise(images(5), torch.randn(5, 3), torch.nn.functional.normalize(torch.randn(5, 4), dim=-1))
    image_P3HW = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (2, 3, *SIZE), dtype=np.uint8))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    model = SceneModel(
        name, options, Preprocessing(72, SIZE), network.train(), one_scene(), parity_image_P3HW=image_P3HW
    )
    model.save(tmp_path, half_precision=half)
    assert network.training and all(torch.equal(v, network.state_dict()[k]) for k, v in before.items())
    read = SceneModel.load(tmp_path)
    assert read.parity is not None and torch.equal(read.parity.image_P3HW, image_P3HW)
    metres, degrees = read.parity.difference(read.network)
    assert metres < 1e-5 and degrees < 1e-3
    with torch.no_grad():
        for parameter in read.network.parameters():
            parameter.mul_(1.01)
        for buffer in read.network.buffers():  # of a network that has no parameters
            buffer.copy_(buffer * 1.1 if buffer.is_floating_point() else buffer)
    assert max(read.parity.difference(read.network)) > 1e-4


def test_nobody_asks_for_a_model_by_name_or_whether_it_has_something() -> None:
    """Outside of `models`: no comparison with a model's name, no `hasattr`, no `isinstance` of one of its classes."""
    names, classes = set(model_names()), {model_class(name).__name__ for name in model_names()}
    found = []
    for path in sorted((ROOT / "transposenet_core").rglob("*.py")):
        if path.relative_to(ROOT).parts[1] in ("models", "commands"):  # whose hooks are a module's, not a model's
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                parts = [node.left, *node.comparators]
                bad = any(isinstance(part, ast.Constant) and part.value in names for part in parts)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called = node.func.id
                asked = ast.unparse(node.args[1]) if len(node.args) > 1 else ""
                bad = called == "hasattr" or (called == "isinstance" and any(each in asked for each in classes))
            else:
                bad = False
            if bad:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def in_runtimes(network: Any, batch: torch.Tensor, path: Path) -> list[dict[str, torch.Tensor]]:
    if importlib.util.find_spec("onnx") is None or not network.converts:
        return []
    path.write_bytes(exported(network, SIZE))
    made = (OnnxRuntimeBackend, "onnxruntime"), (OpenVinoBackend, "openvino")
    return [make(network, path, 1)(batch) for make, package in made if importlib.util.find_spec(package)]


def attentive(name: str, **options: Any) -> Any:
    """A started network whose output depends on the image."""
    network, _ = small_model(name, **options)
    network.start_from_poses([poses()] * network.scenes)
    make_attentive(network)
    if network.MEMORISES:
        network.memorise(images(5), torch.randn(5, 3), torch.nn.functional.normalize(torch.randn(5, 4), dim=-1))
    return network.eval()


SEVERAL = [(name, {"scenes": 3}) for name in model_names() if model_class(name).TAKES_SCENES]
WITH_OPTIONS = [*((name, {}) for name in model_names()), *SEVERAL, ("retrieval", {"backbone": "efficientnet-b0"})]


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_other_back_ends_return_the_same(name: str, options: dict, tmp_path: Path) -> None:
    """`forward` is `finished` of `convertible`, in torch and in the runtimes that are installed, for one image and for
    several; and the output is that of the image, not the same for all."""
    network, batch = attentive(name, **options), images(2)
    with torch.inference_mode():
        expected = network(batch)
        apart = max((value[0] - value[1]).abs().max().item() for key, value in expected.items() if key in ALWAYS)
        assert apart > 0.015
        one = network.finished(network.convertible(batch[:1]))
        for key, value in one.items():
            torch.testing.assert_close(value, expected[key][:1], rtol=2e-4, atol=2e-4, check_dtype=False, msg=key)
        for output in (
            network.finished(network.convertible(batch)),
            *in_runtimes(network, batch, tmp_path / "model.onnx"),
        ):
            assert output.keys() == expected.keys()
            for key, value in output.items():
                torch.testing.assert_close(value, expected[key], rtol=2e-4, atol=2e-4, check_dtype=False, msg=key)
