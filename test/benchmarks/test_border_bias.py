"""What a border does to the error: the border is laid as said, and without one the figures are the localizer's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_scene import write_small_scene
from untrained import save_untrained

from benchmarks import border_bias
from transposenet_core.evaluation import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing, normalise


def test_a_border_is_nothing_to_the_network_and_leaves_the_rest() -> None:
    image_HW3 = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    framed = border_bias.bordered(image_HW3, 5)
    np.testing.assert_array_equal(framed[4:-4, 4:-4], image_HW3[4:-4, 4:-4])
    seen = normalise(torch.from_numpy(framed).permute(2, 0, 1)[None])
    assert seen[..., :4].abs().max() < 0.01 and seen[..., -4:, :].abs().max() < 0.01
    np.testing.assert_array_equal(border_bias.bordered(image_HW3, 0), image_HW3)


def test_the_table_holds_what_the_localizer_errs_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_small_scene(tmp_path / "desk", frames=6)
    images = load_scene(f"7scenes:{scene}").select("test")
    pictures = np.stack([read_image(image.path) for image in images])
    model = save_untrained(tmp_path / "model", pictures, Preprocessing(64, (64, 80)))
    arguments = [str(model), "--data", f"7scenes:{scene}", "--select", "test", "--borders", "0", "10"]
    assert border_bias.main(arguments) == 0
    poses = [Localizer(model, device="cpu").localize(picture).pose for picture in pictures]
    metres = np.median(pose_errors(poses, [image.pose for image in images])[0])
    lines = capsys.readouterr().out.splitlines()
    assert f"{metres:.3f} m" in lines[2] and lines[2] != lines[3]
    assert border_bias.main([*arguments[:-2], "40"]) == 2
    assert "percent of the picture's width, from 0 to below 30" in capsys.readouterr().err
