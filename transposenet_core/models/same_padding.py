"""EfficientNet's "same" padding inside the convolution where it is the same on both sides: no padded copy is written.

efficientnet-pytorch pads first and convolves then, which writes and reads each depthwise input once more: 4 to 5 % of a
training step on a CPU. Sums and their order are the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from efficientnet_pytorch.utils import Conv2dDynamicSamePadding
from torch import nn


class SamePaddingConv2d(nn.Conv2d):
    """A convolution whose output has ceil(size / stride) rows and columns, as TensorFlow pads."""

    @classmethod
    def of(cls, other: nn.Conv2d) -> SamePaddingConv2d:
        """With the parameters of the other, themselves, not copies."""
        made = cls(
            other.in_channels,
            other.out_channels,
            (other.kernel_size[0], other.kernel_size[1]),
            (other.stride[0], other.stride[1]),
            groups=other.groups,
            bias=other.bias is not None,
            device="meta",  # its own weights would take random numbers from the network's
        )
        made.weight, made.bias = other.weight, other.bias
        return made

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        sizes = map(int, x_BCHW.shape[-2:])  # while torch traces they are tensors, whose division rounds otherwise
        tall, wide = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(sizes, self.stride, self.kernel_size, strict=True)
        )
        if tall % 2 or wide % 2:  # strides of 2: the end gets one more than the start
            x_BCHW = F.pad(x_BCHW, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2))
            tall = wide = 0
        return F.conv2d(x_BCHW, self.weight, self.bias, self.stride, (tall // 2, wide // 2), groups=self.groups)


def pad_in_convolutions(module: nn.Module) -> None:
    """Replace efficientnet-pytorch's padded convolutions inside `module`; names and parameters stay."""
    for name, child in module.named_children():
        if isinstance(child, Conv2dDynamicSamePadding):
            setattr(module, name, SamePaddingConv2d.of(child))
        else:
            pad_in_convolutions(child)
