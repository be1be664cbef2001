"""Several processes that train one network, started by torchrun: gradients and batch statistics are shared.

Gradients are summed explicitly and not by DistributedDataParallel: the step stays one function, which a CUDA graph can
record as a whole, and the network keeps its names in checkpoints. `batch_size` counts the images of all processes
together, so a run means the same with any number of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as autograd_dist
from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.localizer import choose_device


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that validates, saves and prints."""
        return self.rank == 0

    def share(self, batch_B: torch.Tensor) -> torch.Tensor:
        """This process's part of a batch: every size-th row."""
        return batch_B[self.rank :: self.size]

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors by their sums over the processes, in one transfer."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    @torch.no_grad()
    def agree(self, module: nn.Module) -> None:
        """Copy the weights and statistics of the leading process to every process."""
        if self.size > 1:
            for tensor in [*module.parameters(), *module.buffers()]:
                dense = tensor.contiguous()
                dist.broadcast(dense, 0)
                tensor.copy_(dense)


@contextmanager
def joined(device: str, batch_size: int) -> Iterator[World]:
    """The processes that torchrun started, or this one alone. UserError if they cannot share a batch evenly."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if size == 1:
        yield World(chosen)
        return
    if batch_size % size:
        raise UserError(f"batch_size is {batch_size}, which {size} processes cannot share evenly; use a multiple")
    if chosen.type == "cuda":
        place, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= gpus:
            raise UserError(f"process {place + 1} of this machine finds {gpus} GPUs; start one per GPU, or device=cpu")
        chosen = torch.device("cuda", place)
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(chosen, dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def share_batch_statistics(network: nn.Module, world: World) -> nn.Module:
    """Compute batch norm over the whole batch, not per process: else the network depends on their number."""
    if world.size == 1:
        return network
    if world.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for name, child in network.named_children():
        setattr(network, name, _SharedBatchNorm2d.of(child) if type(child) is nn.BatchNorm2d else child)
        share_batch_statistics(child, world)
    return network


def with_own_statistics(network: nn.Module) -> nn.Module:
    """The network whose batch norms no longer wait for other processes: for one process that runs it alone."""
    for name, child in network.named_children():
        if isinstance(child, (_SharedBatchNorm2d, nn.SyncBatchNorm)):
            norm = nn.BatchNorm2d(child.num_features, child.eps, child.momentum).train(child.training)
            norm._parameters, norm._buffers = child._parameters, child._buffers
            setattr(network, name, norm)
        else:
            with_own_statistics(child)
    return network


class _SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the images of all processes; torch's SyncBatchNorm does not run on a CPU."""

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> _SharedBatchNorm2d:
        shared = cls(norm.num_features, norm.eps, norm.momentum).train(norm.training)
        shared._parameters, shared._buffers = norm._parameters, norm._buffers
        return shared

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x_BCHW)
        count = torch.full((1,), x_BCHW.numel() / x_BCHW.shape[1], device=x_BCHW.device)
        sums = autograd_dist.all_reduce(torch.cat((x_BCHW.float().sum((0, 2, 3)), count)))
        count, mean_C = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = x_BCHW - mean_C.view(1, -1, 1, 1)
        var_C = autograd_dist.all_reduce(centred.float().square().sum((0, 2, 3))) / count
        with torch.no_grad():
            statistics: Any = self
            statistics.running_mean.lerp_(mean_C, self.momentum)
            statistics.running_var.lerp_(var_C * count / (count - 1), self.momentum)
            statistics.num_batches_tracked += 1
        scale_C = self.weight * torch.rsqrt(var_C + self.eps)
        return centred * scale_C.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
