"""ResNet-50 as a backbone: torchvision's maps, of the sizes that EfficientNet has; one sentence without torchvision."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.models.backbone import backbone_names, build_backbone, map_size

ROOT = Path(__file__).resolve().parents[3]
SIZES = [(64, 96), (97, 71), (33, 65)]


@pytest.fixture(scope="module")
def torchvision_models() -> object:
    """torchvision's networks; a torchvision made for another torch fails with RuntimeError, which is absence too."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        pytest.skip(f"no torchvision that works with torch {torch.__version__}: {error}")
    return models


def uncut(torchvision_models: object, name: str = "resnet50") -> nn.Module:
    torch.manual_seed(7)
    network = getattr(torchvision_models, name)(weights=None)
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 97, 71))
    return network.eval()


@pytest.mark.parametrize("size", SIZES)
def test_resnet_maps_equal_torchvisions(torchvision_models: object, tmp_path: Path, size: tuple[int, int]) -> None:
    whole, cut = uncut(torchvision_models), build_backbone("resnet50", (5, 4, 3, 2, 1), 0.2).eval()
    path = tmp_path / "resnet50.pth"
    torch.save(whole.state_dict(), path)
    origin = load_pretrained_backbone(cut, "resnet50", str(path))
    assert origin == f"resnet50.pth sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    image, expected = torch.rand(1, 3, *size), []
    with torch.inference_mode():
        x = whole.relu(whole.bn1(whole.conv1(image)))
        expected.append(x.clone())
        x = whole.maxpool(x)
        for layer in (whole.layer1, whole.layer2, whole.layer3, whole.layer4):
            expected.append(x := layer(x))
        found = cut(image)
    assert list(found) == [1, 2, 3, 4, 5]
    for level, map_BCHW in found.items():
        torch.testing.assert_close(map_BCHW, expected[level - 1], atol=1e-6, rtol=1e-5)
        assert tuple(map_BCHW.shape) == (1, cut.channels[level], *map_size(size, level))


def test_resnet_is_cut_after_the_last_level_and_trains(torchvision_models: object) -> None:
    model = build_model("transposenet", backbone="resnet50", image_size=(64, 96), layers=1)
    assert (model.backbone.channels, len(model.backbone.stages)) == ({3: 512, 4: 1024}, 3)
    assert not any("fc" in key or "stages.3" in key for key in model.state_dict())
    output = model(torch.rand(2, 3, 97, 71))
    assert (output["position"].shape, output["orientation"].shape) == ((2, 3), (2, 4))
    (output["position"].sum() + output["orientation"].sum()).backward()
    assert [n for n, p in model.backbone.named_parameters() if p.grad is None or not p.grad.any()] == []
    with pytest.raises(ValueError, match=r"reduction levels .* asked for, resnet50 has 1 to 5"):
        build_backbone("resnet50", (0, 3), 0.2)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet101", r"stages.2.6.conv1.weight is not expected.* and \d+ more; it seems to hold resnet101"),
        ("resnet34", r"stages.0.0.conv1.weight is \(64, 64, 3, 3\) instead of \(64, 64, 1, 1\)"),
        ("wide_resnet50_2", "it seems to hold resnet34 or a variant of resnet50"),
        ("mobilenet_v3_small", "it seems to hold no known network"),
    ],
)
def test_other_networks_are_refused(torchvision_models: object, tmp_path: Path, name: str, sentence: str) -> None:
    torch.save(uncut(torchvision_models, name).state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match=f"not weights of resnet50: .*{sentence}"):
        load_pretrained_backbone(build_backbone("resnet50", (3, 4), 0.2), "resnet50", str(tmp_path / "other.pth"))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise RuntimeError('operator torchvision::nms does not exist')", "operator torchvision::nms does not exist"),
        ("raise ModuleNotFoundError('No module named torchvision')", "No module named torchvision"),
    ],
)
def test_without_a_torchvision_that_works_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    """The two ways in which an installation fails: a torchvision of another build of torch, and none."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(fault)
    monkeypatch.syspath_prepend(tmp_path)
    for loaded in [module for module in sys.modules if module.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(UserError, match=r"pip install transposenet_ros\[torchvision\]") as error:
        build_model("transposenet", backbone="resnet50")
    assert reason in str(error.value) and "\n" not in str(error.value)
    assert isinstance(build_model("transposenet", backbone="efficientnet-b0", layers=1), nn.Module)


def test_only_the_resnet_imports_torchvision() -> None:
    code = (
        "import sys; from transposenet_core.models import build_model; import transposenet_core.checkpoints.importing; "
        "build_model('transposenet', layers=1); print([m for m in sys.modules if m.startswith('torchvision')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_backbones_have_names() -> None:
    assert backbone_names() == ["efficientnet-b0", "efficientnet-b1", "resnet50"]
    with pytest.raises(ValueError, match="'resnet18' is unknown, known are efficientnet-b0, efficientnet-b1, resnet50"):
        build_backbone("resnet18", (3,), 0.2)
