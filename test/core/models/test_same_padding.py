"""Same padding inside the convolutions: the numbers of efficientnet-pytorch, its parameters and their names."""

import copy

import pytest
import torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.utils import Conv2dDynamicSamePadding
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.models.same_padding import SamePaddingConv2d, pad_in_convolutions


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 23),
    width=st.integers(1, 23),
    kernel=st.sampled_from((1, 3, 5)),
    stride=st.sampled_from((1, 2)),
    depthwise=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_padded_convolution(height, width, kernel, stride, depthwise, seed):
    torch.manual_seed(seed)
    padded = Conv2dDynamicSamePadding(4, 4, kernel, stride, groups=4 if depthwise else 1, bias=bool(seed % 2))
    ours = SamePaddingConv2d.of(padded)
    x = torch.randn(2, 4, height, width)
    assert ours(x).shape[-2:] == (-(-height // stride), -(-width // stride))
    torch.testing.assert_close(ours(x), padded(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(96, 128), (65, 97)])
def test_whole_network_keeps_its_outputs_gradients_and_names(size):
    torch.manual_seed(0)
    theirs = EfficientNet.from_name("efficientnet-b0", image_size=None).eval()
    ours = copy.deepcopy(theirs)
    drawn = torch.get_rng_state()
    pad_in_convolutions(ours)
    assert torch.equal(torch.get_rng_state(), drawn)  # a seed gives the weights that it gave before
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert not any(isinstance(module, Conv2dDynamicSamePadding) for module in ours.modules())
    image = torch.randn(1, 3, *size)
    maps = [network.extract_endpoints(image)["reduction_4"] for network in (ours, theirs)]
    assert torch.equal(*maps)
    for found in maps:
        found.square().sum().backward()
    torch.testing.assert_close(ours._conv_stem.weight.grad, theirs._conv_stem.weight.grad, rtol=1e-4, atol=1e-4)
