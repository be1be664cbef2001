"""Checkpoints of the reference implementations: the same outputs, from tensors alone; anything else is refused."""

import argparse
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_layout import Reference
from safetensors.torch import save_file
from small_scene import write_small_scene
from training_runs import ROOT

from training.convert_checkpoint import main
from transposenet_core.checkpoints.reference_checkpoint import HEADS, convert
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.training.converted import converted_scene_model

IMAGES = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(3))


@functools.cache
def reference(heads: int = 8, prior: bool = False, backbone: str = "efficientnet-b0") -> Reference:
    torch.manual_seed(7)
    return Reference(heads, prior=prior, backbone=backbone)


def saved(path: Path, **changes: torch.Tensor | None) -> Path:
    """A checkpoint; of the tensors named in `changes` (`__` is a dot) others, or none."""
    state = dict(reference().state_dict())
    for key, value in changes.items():
        state[key.replace("__", ".")] = value
    torch.save({key: value for key, value in state.items() if value is not None}, path)
    return path


@pytest.mark.parametrize(("heads", "prior"), [(8, False), (4, True)])
def test_a_converted_network_has_the_outputs_of_the_reference(tmp_path: Path, heads: int, prior: bool) -> None:
    theirs = reference(heads, prior)
    torch.save({"module." + key: value for key, value in theirs.state_dict().items()}, tmp_path / "it.pth")
    conversion = convert(tmp_path / "it.pth", heads)
    with torch.inference_mode():
        expected, found = theirs(IMAGES), conversion.network(IMAGES)
    assert (expected["position"][0] - expected["position"][1]).abs().max() > 1e-3
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)
    # What EfficientNet has after the last map in use, 46 of the tables' 60 places, and stage 1's head before stage 2's.
    assert conversion.unused > 4.2e6 and conversion.options["orientation_prior"] is prior


@pytest.mark.parametrize("scenes", [1, 3])
def test_so_does_a_network_of_several_scenes(tmp_path: Path, scenes: int) -> None:
    """With fewer layers for the orientation, as its authors have it for 7-Scenes; the scene is found, not given."""
    torch.manual_seed(8)
    theirs = Reference(scenes=scenes)
    torch.save(theirs.state_dict(), tmp_path / "it.pth")
    conversion = convert(tmp_path / "it.pth")
    layers = {key: value for key, value in conversion.options.items() if key.endswith("layers")}
    assert layers == {"encoder_layers": 2, "decoder_layers": 2} | {
        "orientation_encoder_layers": 1,
        "orientation_decoder_layers": 2,
    }
    with torch.inference_mode():
        expected, found = theirs(IMAGES), conversion.network(IMAGES)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)
    assert conversion.options["scenes"] == scenes and conversion.unused > 4.2e6


def test_another_head_count_loads_and_has_other_outputs(tmp_path: Path) -> None:
    """The shapes are the same: that is why it is asked for, with the one the reference runs as its default."""
    path = saved(tmp_path / "it.pth")
    assert (HEADS, convert(path).options["heads"]) == (8, 8)
    with torch.inference_mode():
        expected, found = reference()(IMAGES)["position"], convert(path, 4).network(IMAGES)["position"]
    assert (found - expected).abs().max() > 1e-3


def test_safetensors_are_read_as_well(tmp_path: Path) -> None:
    save_file({key: value.contiguous() for key, value in reference().state_dict().items()}, tmp_path / "it.safetensors")
    assert convert(tmp_path / "it.safetensors").architecture == "transposenet"


NAN = torch.full((64,), float("nan"))
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "code": (
        lambda path: torch.save({"model": reference().state_dict(), "args": argparse.Namespace(lr=1)}, path),
        "refused: it holds argparse.Namespace where only tensors are allowed",
    ),
    "module": (lambda path: torch.save(reference(), path), r"refused: it holds [\w.]+ where only tensors"),
    "other keys": (
        lambda path: torch.save({"fc.weight": torch.ones(2, 2)}, path),
        r"has neither pose_token_embed_t nor query_embed_t.weight .first tensors: fc.weight.",
    ),
    "missing": (
        lambda path: saved(path, input_proj_rot__weight=None),
        "input_proj_rot.weight is missing; save the network's whole",
    ),
    "a layer's": (
        lambda path: saved(path, transformer_rot__encoder__layers__1__norm2__bias=None),
        "transformer_rot.encoder.layers.1.norm2.bias is missing",
    ),
    "shape": (
        lambda path: saved(path, transformer_rot__encoder__norm__bias=torch.ones(32)),
        r"are not a transposenet: orientation_encoder.norm.bias is \(32,\) instead of \(64,\)",
    ),
    "not finite": (
        lambda path: saved(path, transformer_t__encoder__norm__bias=NAN),
        "position_encoder.norm.bias is not finite",
    ),
    "a scene's embedding": (
        lambda path: saved(path, scene_embed__weight=torch.ones(64, 1), scene_embed__bias=torch.ones(64)),
        "are not a transposenet: scene_embed.weight is not expected, scene_embed.bias is not expected",
    ),
    "map": (
        lambda path: saved(path, input_proj_t__weight=torch.ones(64, 320, 1, 1)),
        "input_proj_t takes 320 channels, 40 or 112 are supported",
    ),
    "table": (
        lambda path: saved(path, backbone__1__row_embed__weight=torch.ones(20, 32)),
        r"orientation_encoder.position.rows is \(20, 32\) instead of \(29, 32\)",
    ),
    "scalar": (
        lambda path: saved(path, regressor_head_t__fc_h__weight=torch.tensor(1.0)),
        "does not match our networks",
    ),
    "backbone": (
        lambda path: torch.save(reference(backbone="efficientnet-b1").state_dict(), path),
        "not weights of efficientnet-b0: .*it seems to hold efficientnet-b1",
    ),
    "truncated": (lambda path: path.write_bytes(saved(path).read_bytes()[:1000]), "1000 bytes that are not a complete"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_whatever_else_a_file_holds_is_refused_in_one_sentence(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "it.pth"
    write, sentence = REFUSED[fault]
    write(path)
    with pytest.raises(UserError, match=sentence) as error:
        convert(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_heads_that_do_not_share_the_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="width 64 is not divisible by 7 heads"):
        convert(saved(tmp_path / "it.pth"), 7)


def test_it_returns_the_labels_and_not_the_pose_of_the_colour_camera(tmp_path: Path) -> None:
    """The reference learns labels as they are; 7-Scenes' with depth images are 25 mm from the colour camera."""
    scene = load_scene(f"7scenes:{write_small_scene(tmp_path / 'desk', frames=8)}")
    beside = replace(scene, T_pose_camera=Pose([0.025, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]))
    model, _ = converted_scene_model(convert(saved(tmp_path / "it.pth")), [beside])
    model.save(tmp_path / "model")
    image = read_image(scene.images[0].path)
    with torch.inference_mode():
        expected = reference()(model.preprocessing(image))["position"][0]
    np.testing.assert_allclose(Localizer(tmp_path / "model").localize(image).pose.position, expected, atol=1e-4)


def test_it_becomes_a_scene_model_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    small_scene = write_small_scene(tmp_path / "desk", frames=8)
    out, arguments = tmp_path / "out", [str(saved(tmp_path / "it.pth")), "--data", f"7scenes:{small_scene}", "--out"]
    assert main([*arguments, str(out)]) == 0
    text = capsys.readouterr().out
    assert "transposenet, 8 heads" in text and "M unused weights were left out" in text
    assert "8 training frames (none were held out)" in text and "warning: no better than the mean pose" in text
    localizer = Localizer(out, device="cpu")
    model = localizer.scene_model
    assert (len(model.scenes[0].training_positions_N3), model.preprocessing.smaller_edge) == (8, 256)
    assert model.scenes[0].held_out_error.source.startswith("8 training frames")
    image = read_image(next(small_scene.rglob("*.color.png")))
    with torch.inference_mode():
        expected = reference()(model.preprocessing(image))["position"][0]
    np.testing.assert_allclose(localizer.localize(image).pose.position, expected, atol=1e-4)
    assert main([*arguments, str(out)]) == 2
    assert "already exists: name a new folder" in capsys.readouterr().err


def test_several_scenes_become_one_scene_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save(Reference(scenes=2).state_dict(), tmp_path / "it.pth")
    data = ["--data", f"7scenes:{write_small_scene(tmp_path / 'desk', frames=4)}"]
    arguments = [str(tmp_path / "it.pth"), *data, "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "--data is given 1 times, but the checkpoint has 2 scenes; give each" in capsys.readouterr().err
    assert main([*arguments, *data, "--name", "attic", "--name", "cellar"]) == 0
    text = capsys.readouterr().out
    assert "attic: median" in text and "cellar: median" in text and "multiscene_transformer, 8 heads" in text
    model = Localizer(tmp_path / "out", device="cpu").scene_model
    assert [(scene.name, scene.map_frame) for scene in model.scenes] == [
        ("attic", "attic_map"),
        ("cellar", "cellar_map"),
    ]


def test_coarse_to_fine_is_refused(tmp_path: Path) -> None:
    """Its centres are not among its weights."""
    state = {**Reference(scenes=2).state_dict(), "t_cluster_embed.weight": torch.ones(2, 64)}
    torch.save(state, tmp_path / "it.pth")
    with pytest.raises(UserError, match="are not a multiscene_transformer: t_cluster_embed.weight is not expected"):
        convert(tmp_path / "it.pth")


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(tmp_path / "no.pth"), "--data", f"7scenes:{ROOT}", "--out", str(tmp_path / "out")]) == 2
    assert "no.pth: No such file or directory" in capsys.readouterr().err
