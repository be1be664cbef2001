"""`transposenet export`: a file that another program can run, and the description that it needs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import SIZE, small_model
from untrained import one_scene

from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import SceneModel
from transposenet_ros.cli import main

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name in ("transposenet_fast", "scene_coordinates"):
        network, options = small_model(name)
        made[name] = tmp_path_factory.mktemp("models") / name
        SceneModel(name, options, Preprocessing(SIZE[0], SIZE), network.eval(), one_scene()).save(made[name])
    return made


def input_of(description: dict) -> np.ndarray:
    """An image as the description tells a program that knows nothing else."""
    _, _, height, width = description["input"]["shape"]
    image_HW3 = np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.float32)
    normal_HW3 = (image_HW3 - description["input"]["mean"]) / description["input"]["std"]
    return np.ascontiguousarray(normal_HW3.transpose(2, 0, 1)[None].astype(np.float32))


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_the_file_gives_the_pose(form: str, folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / {"onnx": "net.onnx", "openvino": "net.xml"}[form]
    assert main(["export", str(folders["transposenet_fast"]), "--format", form, "--out", str(out)]) == 0
    description = json.loads(out.with_name(f"{out.name}.json").read_text())
    image_13HW = input_of(description)
    if form == "onnx":
        session = ort.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        found = session.run(["position", "orientation"], {description["input"]["name"]: image_13HW})
    else:
        compiled = openvino.Core().compile_model(str(out), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        result = compiled({description["input"]["name"]: image_13HW})
        found = [result["position"], result["orientation"]]
    with torch.inference_mode():
        expected = SceneModel.load(folders["transposenet_fast"]).network(torch.from_numpy(image_13HW))
    for value, name in zip(found, ("position", "orientation"), strict=True):
        np.testing.assert_allclose(value, expected[name], atol=1e-4)
        assert description["outputs"][name]["shape"] == list(value.shape)


def test_what_is_left_to_compute_is_described(folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    assert main(["export", str(folders["scene_coordinates"]), "--out", str(out)]) == 0
    description = json.loads((tmp_path / "net.onnx.json").read_text())
    assert list(description["outputs"]) == ["numbers"] and "`finished`" in description["pose"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "net.bin"], "--out net.bin: a file of format onnx ends in .onnx; name it so"),
        (["--out", "net.onnx", "--format", "openvino"], "a file of format openvino ends in .xml"),
    ],
)
def test_wrong_names_are_refused(
    arguments: list[str], sentence: str, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(folders["transposenet_fast"]), *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", ["net.xml", "net.bin", "net.xml.json"])
def test_an_existing_file_is_kept(
    name: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("mine")
    arguments = ["--format", "openvino", "--out", str(tmp_path / "net.xml")]
    assert main(["export", str(folders["transposenet_fast"]), *arguments]) == 2
    assert f"{name} already exists" in capsys.readouterr().err and (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1
