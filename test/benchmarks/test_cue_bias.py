"""The effect of a border or blur on the error: images are changed as requested, unchanged ones are the localizer's."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scene import write_small_scene
from untrained import save_untrained

from benchmarks import cue_bias
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing, normalise


def test_a_border_is_zero_for_the_network_and_leaves_the_rest() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 60, 80), dtype=np.uint8))
    framed = cue_bias.framed(image, 5)
    assert framed.dtype == torch.uint8 and torch.equal(framed[..., 4:-4, 4:-4], image[..., 4:-4, 4:-4])
    seen = normalise(framed)
    assert seen[..., :4].abs().max() < 0.01 and seen[..., -4:, :].abs().max() < 0.01
    assert torch.equal(cue_bias.framed(image, 0), image)


def test_changes_apply_to_what_the_network_sees() -> None:
    """At the size of its window, not of the resized image that the window is cut from."""
    image, args = torch.full((1, 3, 96, 128), 200, dtype=torch.uint8), argparse.Namespace(borders=[4], blurs=[])
    (_, plain), (_, framed) = cue_bias.changed(image, args)
    assert torch.equal(plain, image) and (framed[..., :5] != 200).all() and (framed[..., 5:-5, 5:-5] == 200).all()


def test_the_table_has_the_errors_of_the_localizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_small_scene(tmp_path / "desk", frames=6)
    images = load_scene(f"7scenes:{scene}").select("test")
    images_NHW3 = np.stack([read_image(image.path) for image in images])
    model = save_untrained(tmp_path / "model", images_NHW3, Preprocessing(70, (64, 80)))
    arguments = [str(model), "--data", f"7scenes:{scene}", "--select", "test", "--blurs", "1", "--borders", "10"]
    assert cue_bias.main(arguments) == 0
    poses = [Localizer(model, device="cpu").localize(image_HW3).pose for image_HW3 in images_NHW3]
    metres = np.median(pose_errors(poses, [image.pose for image in images])[0])
    lines = capsys.readouterr().out.splitlines()
    assert f"{metres:.3f} m" in lines[2] and "border of 10 %" in lines[3] and "blur of 1 pixels" in lines[4]
    assert len({line.split("|", 2)[2] for line in lines[2:5]}) == 3
    for wrong, message in (
        (("--borders", "40"), "percent of the image's width, from 0 to below 30"),
        (("--blurs", "9"), "pixels, above 0 and up to 5"),
    ):
        assert cue_bias.main([*arguments[:5], *wrong]) == 2
        assert message in capsys.readouterr().err
