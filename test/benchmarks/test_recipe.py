"""The recipe's rows change what they declare and nothing else; finished rows are not repeated; views rotate back."""

import json
from pathlib import Path

import pytest
import torch
from small_scene import write_small_scene
from training_runs import ROOT, SMALL

from benchmarks import recipe, virtual_averaging
from benchmarks.recipe_rows import ROWS, RecipeRow
from transposenet_core.formats import load_scene
from transposenet_core.geometry.quaternions import product
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.checkpoint import difference
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixels import load_pixels

PRESET = ROOT / "config" / "train" / "transposenet_fast.yaml"
TINY = [key for key in SMALL if not key.startswith(("image", "validate_every"))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_its_base_and_its_changes(row: RecipeRow) -> None:
    config = load_config(PRESET, row.overrides(48, 10, ["device=cpu"])).to_dict()
    if not row.base:
        assert row.name in ("crop", "virtual")
        return
    base = load_config(PRESET, next(r for r in ROWS if r.name == row.base).overrides(48, 10, ["device=cpu"])).to_dict()
    changed = difference(base, config)
    assert changed, row.name
    keys = {change.split("=")[0] for change in row.changes} | {"model.options"}
    keys |= {"image.smaller_edge"} if row.margin else set()
    keys |= {"epochs", "validate_every"} if row.length != 1 else set()
    keys |= {"image.smaller_edge", "image.height", "image.width"} if row.size != 1 else set()
    assert all(phrase.split()[0] in keys for phrase in changed), changed
    assert row.described() not in ("", "-")
    height, width = config["image"]["height"], config["image"]["width"]
    assert height == round(48 * row.size) and width == (height if row.square else round(height * 4 / 3))


def test_what_is_seen_of_the_image_is_compared_at_about_equal_work() -> None:
    work = {}
    for row in (row for row in ROWS if row.name in ("virtual", "square", "wide", "wider")):
        config = load_config(PRESET, row.overrides(48, 16, ["device=cpu"]))
        work[row.name] = config.epochs * config.image.height * config.image.width
    assert len(work) == 4 and all(each == pytest.approx(work["virtual"], rel=0.03) for each in work.values())


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """A scene with intrinsics and a split that names val frames."""
    scene = write_small_scene(tmp_path / "desk", frames=8)
    (scene / "color-intrinsics.txt").write_text("60 0 31.5\n0 60 23.5\n0 0 1\n")
    lines = [
        f"{('train', 'val')[i % 2]},desk/{image.name}" for i, image in enumerate(load_scene(f"7scenes:{scene}").images)
    ]
    (tmp_path / "split.csv").write_text("\n".join(["split,image", *lines]) + "\n")
    return ["--data", f"7scenes:{scene}", "--split", str(tmp_path / "split.csv")]


def test_each_row_is_done_once_and_failures_are_rows_too(
    data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = [*data, "--out", str(out), "--height", "32", "--epochs", "1", *TINY]
    assert recipe.main([*call, "--rows", "crop"]) == 0
    assert recipe.main([*call, "--rows", "crop,whole_image,virtual,translation"]) == 0
    lines = [json.loads(line) for line in (out / recipe.FILE).read_text().splitlines()]
    assert [line["name"] for line in lines] == ["crop", "whole_image", "virtual", "translation"]
    assert "crop: done before" in capsys.readouterr().out
    assert lines[3]["failed"] == "exit code 2"  # there is no depth
    crop, whole = lines[:2]
    cells = [[cell.strip() for cell in line.split("|")] for line in (out / "recipe.md").read_text().splitlines()]
    table = {row[1]: row[3:] for row in cells[2:]}
    assert table["crop"][:3] == [f"{crop['median_m']:.3f} m", f"{crop['median_deg']:.1f} deg", "-"]
    against = [f"{100 * (whole[key] / crop[key] - 1):+.0f} %" for key in ("median_m", "median_deg")]
    assert table["whole_image"][2] == " / ".join(against)
    assert table["translation"][0] == "exit code 2"
    assert recipe.main([*call, "--rows", "translation"]) == 0  # a failure is tried again
    assert len((out / recipe.FILE).read_text().splitlines()) == 5
    assert recipe.main([*data, "--out", str(out), "--height", "48", "--epochs", "1", *TINY, "--rows", "crop"]) == 2
    assert "its rows have another budget" in capsys.readouterr().err


def test_rotated_views_are_rotated_back(data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert recipe.main([*data, "--out", str(out), "--rows", "virtual", "--height", "32", "--epochs", "1", *TINY]) == 0
    folder = out / "virtual"
    model = SceneModel.load(folder)
    scene = load_scene(data[1], data[3])
    pixels = load_pixels(scene.select("val"), model.preprocessing, threads=0, camera=scene.intrinsics)
    rotation = virtual_averaging.rotations(10.0)
    assert torch.equal(rotation[0], torch.tensor([1.0, 0, 0, 0]))
    # Yaw is about the optical frame's y axis: half of 10 degrees in the quaternion.
    torch.testing.assert_close(rotation[1], torch.tensor([0.99619, 0, 0.08716, 0]), atol=1e-5, rtol=0)
    model.network.eval()
    last = model.network.orientation_head[-1]  # the network returns one orientation for every image
    torch.nn.init.zeros_(last.weight)
    constant = torch.nn.functional.normalize(torch.tensor([0.5, 0.5, -0.1, 0.3]), dim=-1)
    last.bias.data.copy_(constant)
    _, orientation = virtual_averaging.predictions(model, pixels, rotation)
    assert orientation.shape == (len(pixels), 7, 4)
    torch.testing.assert_close(product(orientation[0], rotation), constant.expand(7, 4), atol=1e-6, rtol=1e-5)
    capsys.readouterr()
    assert virtual_averaging.main([str(folder), *data, "--rotations", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "1 (the image)",
        "3, rotated by 5 deg",
        "7, rotated by 5 deg",
    ]
