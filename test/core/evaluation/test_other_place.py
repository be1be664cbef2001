"""Images of a place that the model does not know: counted by the library, printed by the command."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from transposenet_core.evaluation.other_place import OtherPlaceResult, evaluate_other_place
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "demo" / "model"
evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]


def test_frames_of_another_place_are_counted(small_scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo's model knows a room made by code, and no desk."""
    localizer, scene = Localizer(DEMO, "cpu"), load_scene(small_scene)
    result = evaluate_other_place(localizer, scene)
    by_hand = [not localizer.localize(read_image(image.path)).localized for image in scene.images]
    assert result == OtherPlaceResult("desk", 48, sum(by_hand)) and result.not_localized > 0
    assert result.to_dict() == {"scene": "desk", "images": 48, "not_localized": sum(by_hand), "share": np.mean(by_hand)}
    assert capsys.readouterr() == ("", "")
    text = f"not localized {sum(by_hand)} of 48 frames of desk, another place: {np.mean(by_hand):.1%}"
    assert str(result) == text
    there = ["--data", str(small_scene), "--device", "cpu"]
    assert evaluate([str(DEMO), *there, "--other", str(small_scene)]) == 0
    assert text in capsys.readouterr().out.splitlines()
    assert OtherPlaceResult("nowhere", 0, 0).to_dict()["share"] is None
