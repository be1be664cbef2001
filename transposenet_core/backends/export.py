"""A network as a file for users' own runtimes, with a description of what goes in and comes out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from transposenet_core.atomic_files import write_atomically
from transposenet_core.backends.contract import BackendError, package
from transposenet_core.backends.onnx_file import IMAGE, exported
from transposenet_core.errors import UserError
from transposenet_core.models.contract import ALWAYS, CONVERTED, OUTPUTS
from transposenet_core.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from transposenet_core.scene_model import SceneModel


def export(model: SceneModel, out: Path, form: str) -> list[Path]:
    """Write `out` in the format onnx or openvino, and its description; returns all files.

    UserError where the network cannot be exported, a package is missing, or one of the files exists.
    """
    for path in files_of(out, form):
        if path.exists():
            raise UserError(f"{path} already exists: name a new file by --out")
    if not model.network.converts:
        raise UserError(
            f"a model of {model.architecture} with these options has no network: there is nothing to export"
        )
    try:
        data = exported(model.network, model.preprocessing.image_size)
    except BackendError as error:
        raise UserError(f"{out}: the export to ONNX {error}") from None
    contents = {out: data} if form == "onnx" else _openvino(data, out)
    contents[files_of(out, form)[-1]] = (json.dumps(description(model), indent=1) + "\n").encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        with write_atomically(path) as temporary:
            temporary.write_bytes(content)
    return list(contents)


def files_of(out: Path, form: str) -> list[Path]:
    """All that `export` writes, the description last."""
    weights = [out.with_suffix(".bin")] if form == "openvino" else []
    return [out, *weights, out.with_name(f"{out.name}.json")]


def _openvino(data: bytes, out: Path) -> dict[Path, bytes]:
    """The .xml and the .bin with the weights in float32."""
    try:
        openvino: Any = package("openvino")
    except BackendError as error:
        raise UserError(f"{out}: the format openvino {error}; install it, or take onnx") from None
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "model.onnx", Path(folder) / "model.xml"
        source.write_bytes(data)
        openvino.save_model(openvino.Core().read_model(str(source)), str(made), compress_to_fp16=False)
        return {out: made.read_bytes(), out.with_suffix(".bin"): made.with_suffix(".bin").read_bytes()}


@torch.inference_mode()
def description(model: SceneModel) -> dict[str, Any]:
    """What a program that runs the file has to know."""
    height, width = model.preprocessing.image_size
    outputs = model.network.convertible(torch.zeros(1, 3, height, width))
    table = OUTPUTS | CONVERTED
    described = {
        name: {"shape": list(value.shape), "unit": table[name].unit, "meaning": table[name].meaning}
        for name, value in outputs.items()
    }
    found: dict[str, Any] = {
        "model": model.architecture,
        "weights_sha256": model.weights_sha256,
        "scenes": [{"name": scene.name, "map_frame": scene.map_frame, "units": scene.units} for scene in model.scenes],
        "input": {
            "name": IMAGE,
            "shape": [1, 3, height, width],
            "type": "float32",
            "colour": "RGB, without the lens's distortion where the model was trained on such images",
            "resize": f"bilinear with antialiasing on uint8, to a smaller edge of {model.preprocessing.smaller_edge} "
            "pixels or as much more as the window needs",
            "window": "the centre",
            "mean": [255 * value for value in IMAGENET_MEAN],
            "std": [255 * value for value in IMAGENET_STD],
        },
        "outputs": described,
        "pose": "position and orientation (w x y z) are T_map_camera: optical axes, x right, y down, z forward",
    }
    if not set(ALWAYS) <= outputs.keys():
        found["pose"] = (
            "not in this file: it is computed from the outputs by the method `finished` of the model, in "
            f"transposenet_core/models/{model.architecture}.py"
        )
    return found
