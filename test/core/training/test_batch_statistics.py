"""After few steps a network is validated with the batch statistics of its weights, not with those of earlier ones."""

import pytest
import torch
from torch import nn

from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.training.batch_statistics import SETTLED, settled
from transposenet_core.training.config import AugmentationConfig, TrainConfig
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World

WORLD = World(torch.device("cpu"))
CONFIG = TrainConfig(batch_size=8, augmentation=AugmentationConfig(random_crop=False, colour_jitter=0.0))


def scene() -> ScenePixels:
    image = torch.randint(0, 256, (16, 3, 8, 8), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    return ScenePixels([PosedPixels(image, torch.zeros(16, 3), torch.zeros(16, 4))])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.01))


def test_the_copy_normalises_as_in_training_and_the_network_stays() -> None:
    trained = network().eval()
    found = settled(trained, scene(), Preprocessing(8, (8, 8)), CONFIG, WORLD, epoch=1)
    assert torch.equal(trained[1].running_mean, torch.zeros(4)) and int(trained[1].num_batches_tracked) == 0
    assert not any(module.training for module in found.modules())
    image = scene().scenes[0].image_N3HW
    with torch.no_grad():
        expected = network().train()(normalise(image))
        torch.testing.assert_close(found(normalise(image)), expected, rtol=0.02, atol=0.05)
        assert (trained(normalise(image)) - expected).abs().max() > 0.2


@pytest.mark.parametrize(("epoch", "the_same"), [(1, False), (SETTLED // 2 - 1, False), (SETTLED // 2, True)])
def test_after_a_thousand_steps_the_running_statistics_are_used(epoch: int, the_same: bool) -> None:
    trained = network().eval()
    assert (settled(trained, scene(), Preprocessing(8, (8, 8)), CONFIG, WORLD, epoch) is trained) == the_same


def test_a_network_without_batch_statistics_is_left_alone() -> None:
    trained = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert settled(trained, scene(), Preprocessing(8, (8, 8)), CONFIG, WORLD, 1) is trained
