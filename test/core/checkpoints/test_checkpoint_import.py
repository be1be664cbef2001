"""Backbone weights out of files: what fits is taken to the bit, what does not is one sentence and changes nothing."""

import argparse
import copy
import functools
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_pytorch import EfficientNet
from safetensors.torch import save_file
from torch import nn
from untrained import NARROW, save_untrained

from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.errors import UserError
from transposenet_core.models.backbone import Backbone, build_backbone
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import WEIGHTS, SceneModel

IMAGE = torch.rand(2, 3, 65, 97, generator=torch.Generator().manual_seed(3))


def uncut(name: str = "efficientnet-b0") -> EfficientNet:
    """The whole public network, whose batch norms have seen an image: fresh ones hide that they were not taken."""
    torch.manual_seed(7)
    network = EfficientNet.from_name(name, image_size=None)
    with torch.no_grad():
        network.train().extract_endpoints(IMAGE)
    return network.eval()


@pytest.fixture(scope="module")
def whole() -> EfficientNet:
    return uncut()


@functools.cache
def untouched(levels: tuple[int, ...]) -> Backbone:
    torch.manual_seed(11)
    return build_backbone("efficientnet-b0", levels, 0.2).eval()


def fresh(levels: tuple[int, ...] = (3, 4)) -> Backbone:
    return copy.deepcopy(untouched(levels))


def assert_same_tensors(backbone: nn.Module, expected: nn.Module) -> None:
    found = backbone.state_dict()
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(found[key], value, atol=0, rtol=0)


def assert_equals_the_uncut(backbone: Backbone, whole: EfficientNet) -> None:
    with torch.inference_mode():
        expected, found = whole.extract_endpoints(IMAGE), backbone(IMAGE)
    for level in backbone.levels:
        torch.testing.assert_close(found[level], expected[f"reduction_{level}"], atol=1e-6, rtol=1e-5)


def save_scene_model(folder: Path, **options: object) -> Path:
    image_HW3 = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return save_untrained(folder, [image_HW3, 255 - image_HW3], Preprocessing(32, (32, 48)), NARROW | options)


WRAPPED: dict[str, Callable[[dict], object]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "note": "best"},
    "distributed": lambda state: {"module." + key: value for key, value in state.items()},
    "lightning": lambda state: {"state_dict": {f"model.backbone.{key}": value for key, value in state.items()}},
    "no counters": lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_end_points_equal_the_uncut_networks(tmp_path: Path, whole: EfficientNet, wrapped: str, zipped: bool) -> None:
    path = tmp_path / "b0.pth"
    torch.save(WRAPPED[wrapped](whole.state_dict()), path, _use_new_zipfile_serialization=zipped)
    backbone = fresh()
    with pytest.raises(AssertionError):
        assert_equals_the_uncut(backbone, whole)
    origin = load_pretrained_backbone(backbone, "efficientnet-b0", str(path))
    assert origin == f"b0.pth sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert_equals_the_uncut(backbone, whole)


@pytest.mark.parametrize("levels", [(1,), (2, 5), (3,)])
def test_any_cut_is_filled(tmp_path: Path, whole: EfficientNet, levels: tuple[int, ...]) -> None:
    save_file(whole.state_dict(), tmp_path / "b0.safetensors")
    backbone = fresh(levels)
    load_pretrained_backbone(backbone, "efficientnet-b0", str(tmp_path / "b0.safetensors"))
    assert_equals_the_uncut(backbone, whole)


def test_none_changes_nothing() -> None:
    backbone = fresh()
    assert load_pretrained_backbone(backbone, "efficientnet-b0", "none") == "none (from scratch)"
    assert_same_tensors(backbone, untouched((3, 4)))


@pytest.mark.parametrize("given", ["", WEIGHTS], ids=["folder", "its file"])
def test_a_scene_models_backbone_is_taken(tmp_path: Path, given: str) -> None:
    network, backbone = SceneModel.load(save_scene_model(tmp_path / "desk")).network, fresh()
    origin = load_pretrained_backbone(backbone, "efficientnet-b0", str(tmp_path / "desk" / given))
    digest = hashlib.sha256((tmp_path / "desk" / WEIGHTS).read_bytes()).hexdigest()
    assert origin == f"{'' if given else 'desk/'}{WEIGHTS} sha256 {digest}"
    assert_same_tensors(backbone, network.backbone)


class RunsCode:
    """Reading its pickle makes a folder: the sign that code of the file was run."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.sign),)


def damaged(whole: EfficientNet, **changes: object) -> dict:
    state = {**whole.state_dict(), **changes}
    return {key: value for key, value in state.items() if value is not None}


def compress(path: Path) -> None:
    """The same archive with its entries deflated, by which a few bytes may become gigabytes."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


NAN = torch.full((40,), float("nan"))
REFUSED: dict[str, tuple[Callable[[Path, EfficientNet], object], str]] = {
    "b1": (lambda path, _: torch.save(uncut("efficientnet-b1").state_dict(), path), "hold efficientnet-b1 or -b2"),
    "missing": (
        lambda path, whole: torch.save(damaged(whole, **{"_bn0.weight": None, "_blocks.4._bn2.bias": None}), path),
        r"not weights of efficientnet-b0: stem_norm.weight is missing, blocks.4._bn2.bias is missing; it seems",
    ),
    "shape": (
        lambda path, whole: torch.save(damaged(whole, **{"_bn0.weight": torch.ones(40)}), path),
        r"stem_norm.weight is \(40,\) instead of \(32,\)",
    ),
    "nan": (
        lambda path, whole: torch.save(damaged(whole, **{"_blocks.4._bn2.bias": NAN}), path),
        "blocks.4._bn2.bias is not finite",
    ),
    "deeper": (
        lambda path, whole: torch.save(damaged(whole, **{"_blocks.4._bn9.bias": NAN}), path),
        "blocks.4._bn9.bias is not expected",
    ),
    "other": (
        lambda path, _: torch.save(nn.Linear(2, 2).state_dict(), path),
        r"stem.weight is missing.* and \d+ more; .* no known network \(first tensors: weight, bias\)",
    ),
    "code": (lambda path, _: torch.save(RunsCode(path.parent / "ran"), path), r"refused: it holds \w+.mkdir where"),
    "code beside tensors": (
        lambda path, whole: torch.save({"state_dict": whole.state_dict(), "x": RunsCode(path.parent / "ran")}, path),
        r"refused: it holds \w+.mkdir where",
    ),
    "options": (
        lambda path, whole: torch.save({"model": whole.state_dict(), "args": argparse.Namespace(lr=1)}, path),
        "refused: it holds argparse.Namespace where",
    ),
    "truncated": (
        lambda path, whole: (torch.save(whole.state_dict(), path), os.truncate(path, 10**7)),
        "10000000 bytes that are not a complete .pth file .*central directory",
    ),
    "empty": (lambda path, _: path.write_bytes(b""), "0 bytes that are not a complete .pth file"),
    "web page": (lambda path, _: path.write_text("<html>moved</html>"), "18 bytes that are not a complete .pth file"),
    "compressed": (
        lambda path, whole: compress(torch.save(whole.state_dict(), path) or path),
        "with compressed entries",
    ),
    "shared": (
        lambda path, whole: torch.save(damaged(whole, x=torch.zeros(1).expand(10**12)), path),
        r"\d+ tensors of 40000\d+ bytes in a file of \d+, .*share their bytes",
    ),
    "sparse": (
        lambda path, whole: torch.save(damaged(whole, x=torch.eye(3).to_sparse()), path),
        "some of which are no plain numbers",
    ),
    "large": (lambda path, _: (path.touch(), os.truncate(path, 2**29 + 1)), "weights of at most 536870912 are read"),
    "one tensor": (lambda path, _: torch.save(torch.ones(3), path), "one Tensor instead of named tensors"),
    "absent": (lambda path, _: None, "cannot be read .No such file.*allowed are imagenet, none, a file .*folder"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path: Path, whole: EfficientNet, fault: str) -> None:
    path, backbone = tmp_path / "weights.pth", fresh()
    write, sentence = REFUSED[fault]
    write(path, whole)
    with pytest.raises(UserError, match=sentence) as error:
        load_pretrained_backbone(backbone, "efficientnet-b0", str(path))
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()
    assert_same_tensors(backbone, untouched((3, 4)))


def test_wrong_endings_and_damaged_safetensors_are_named(tmp_path: Path, whole: EfficientNet) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(whole.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="bytes that are not a complete .safetensors file"):
        load_pretrained_backbone(fresh(), "efficientnet-b0", str(path))
    other = path.rename(tmp_path / "weights.bin")
    with pytest.raises(UserError, match=r"weights.bin does not end in .pth, .pt, .safetensors"):
        load_pretrained_backbone(fresh(), "efficientnet-b0", str(other))


def test_a_scene_model_of_another_backbone_or_cut_is_refused(tmp_path: Path) -> None:
    save_scene_model(tmp_path / "b1", backbone="efficientnet-b1")
    with pytest.raises(UserError, match="the backbone of this scene model is efficientnet-b1, but efficientnet-b0 is"):
        load_pretrained_backbone(fresh(), "efficientnet-b0", str(tmp_path / "b1"))
    save_scene_model(tmp_path / "short", position_level=3)
    with pytest.raises(UserError, match=r"blocks.5.* is missing.*it seems to hold a backbone of ours with 5 blocks"):
        load_pretrained_backbone(fresh(), "efficientnet-b0", str(tmp_path / "short"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: scene.json and model.safetensors missing"):
        load_pretrained_backbone(fresh(), "efficientnet-b0", str(tmp_path / "empty"))
