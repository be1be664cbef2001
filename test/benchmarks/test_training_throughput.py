"""The speed table: its arithmetic and its layout. No test asserts a speed."""

from pathlib import Path

import pytest
import torch

from benchmarks import training_throughput
from benchmarks.training_throughput import main, make_images, median_seconds, our_step
from transposenet_core.training.config_reading import load_config

CPU = torch.device("cpu")
YARDSTICK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, fast):
        super().__init__()
        self.regress = nn.Conv2d(3, 7, 224)

    def forward(self, image):
        return self.regress(image).flatten(1)

def pose_loss(pose, label, s_x, s_q):
    return (pose - label).norm(dim=1).mean() * torch.exp(-s_x) + s_x + s_q
"""


def test_each_row_stands_beside_the_reference_in_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = ["image.smaller_edge=32", "image.height=32", "image.width=32", "model.options.layers=1"]
    monkeypatch.setattr(training_throughput, "ROWS", (("tiny", "transposenet_fast", tiny),))
    (tmp_path / "yardstick.py").write_text(YARDSTICK)
    assert main(["--yardstick", str(tmp_path / "yardstick.py"), "--seconds", "0.1", "--batch", "2"]) == 0
    reference, ours = (line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    assert reference[0] == "reference" and ours[0] == "tiny" and reference[-1] == "1.0"
    assert float(ours[-1]) == pytest.approx(float(ours[-2]) / float(reference[-2]), abs=0.06)


def test_loading_reads_the_files(tmp_path: Path) -> None:
    images = make_images(tmp_path, 4)
    options = ["image.smaller_edge=32", "image.height=32", "image.width=32", "model.options.layers=1"]
    config = load_config(None, [*options, "batch_size=2", "device=cpu"])
    step, loading = our_step(config, images, CPU)
    assert loading > 0
    assert median_seconds({"reference": step}, 0.0, CPU)["reference"] > 0
    images[0].path.unlink()
    with pytest.raises(Exception, match=r"000\.jpg"):
        our_step(config, images, CPU)


def test_an_absent_yardstick_is_one_sentence(capsys: pytest.CaptureFixture) -> None:
    assert main(["--yardstick", "absent.py"]) == 2
    assert "absent.py: no such Python file" in capsys.readouterr().err
