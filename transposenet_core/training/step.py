"""One training step, eager on a CPU and recorded as one CUDA graph on CUDA: the same code."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.profiler import record_function

from transposenet_core.errors import UserError
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.training.augmentation.views import training_views
from transposenet_core.training.batches import Batch
from transposenet_core.training.checkpoint import State
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World
from transposenet_core.training.losses.labels import Labels
from transposenet_core.training.optimization import set_rate

PARTS = ("views", "network", "loss", "gradient", "optimizer")  # of a step, as the profiler names them
EAGER_STEPS = 3  # before a step is recorded: cuDNN chooses its kernels, the optimizer creates its state


class TrainStep:
    """Augmentation, network, loss, gradients, optimizer and moving average, for one batch after another.

    A step whose gradient is not finite changes nothing, neither weights nor batch statistics, and is counted.
    Numbers are copied to the host only on request, since that would stall a GPU. A network that ``MEMORISES`` stores
    the images without augmentation and their poses, again in each epoch, and has no gradient.
    """

    def __init__(
        self,
        state: State,
        pixels: ScenePixels,
        preprocessing: Preprocessing,
        config: TrainConfig,
        world: World,
    ) -> None:
        network: Any = state.network  # a `PoseModel`
        loss: Any = state.loss  # one of `losses`
        self.network, self.loss, self.optimizer, self.average = network, loss, state.optimizer, state.average
        self.pixels, self.preprocessing, self.config, self.world = pixels, preprocessing, config, world
        self._learnt = [p for group in self.optimizer.param_groups for p in group["params"]]
        # Statistics of a frozen backbone stay as they are.
        norms = [m for m in self.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        self._statistics = [b for norm in norms for b in (norm.running_mean, norm.running_var) if b is not None]
        zero = torch.zeros((), device=world.device)
        self._sums = zero.repeat(len(loss.TERMS))
        self._seen, self._skipped, self._in_row = (zero.clone() for _ in "123")
        self._graph: Any = None
        # With several scenes the number of images per scene changes from batch to batch, and with it the operations.
        self._may_record = world.device.type == "cuda" and config.cuda_graph and len(pixels.scenes) == 1
        self._eager_steps = 0
        self._memorises = self.network.MEMORISES
        if self._memorises and (world.size > 1 or self.average is not None):
            found = f"{world.size} processes" if world.size > 1 else f"ema_decay {config.ema_decay}"
            raise UserError(
                f"model '{config.model.name}' memorises images, which does not work with {found}; start one "
                "process and set ema_decay=0"
            )

    def __call__(self, batch: Batch, rate: float) -> None:
        if self._memorises:
            self._memorise(batch)
            return
        set_rate(self.optimizer, rate)
        device = self.world.device
        # A blocking copy would wait for the step before.
        index_B, random_BK = (t.to(device, non_blocking=True) for t in (batch.index_B, batch.random_BK))
        share = len(index_B) / batch.total
        if self.pixels.device.type != device.type:  # not all images fit on the device
            few = self.pixels.chosen(batch.index_B, device)
            random_BK = random_BK[self.pixels.sorted_by_scene(batch.index_B).to(device)]  # each image keeps its own
            self._run(few, torch.arange(len(few), device=device), random_BK, share)
        elif self._may_record and batch.total == self.config.batch_size:
            self._recorded(index_B, random_BK, share)
        else:
            self._run(self.pixels, index_B, random_BK, share)
        if self.average is not None:
            self.average.update(self.network)

    def means(self) -> dict[str, float]:
        """Mean of each term of the loss over the images of all processes since the last `reset`."""
        numbers = torch.cat((self._sums, self._seen[None]))
        self.world.add_up([numbers])
        *sums, seen = numbers.tolist()
        return {name: value / max(seen, 1) for name, value in zip(self.loss.TERMS, sums, strict=True)}

    def running_loss(self) -> float:
        """Mean loss over the images of this process alone since the last `reset`; NaN for a memory without a loss."""
        if "loss" not in self.loss.TERMS:
            return float("nan")
        return float(self._sums[self.loss.TERMS.index("loss")] / self._seen.clamp(min=1))

    def faults(self) -> tuple[int, int]:
        """Steps skipped since the last `reset`, and how many in a row up to now."""
        return int(self._skipped), int(self._in_row)

    def reset(self) -> None:
        for number in (self._sums, self._seen, self._skipped):
            number.zero_()
        if self._memorises:
            self.network.forget()

    def _memorise(self, batch: Batch) -> None:
        (few,) = self.pixels.chosen(batch.index_B.to(self.pixels.device), self.world.device).scenes
        views_B3HW = normalise(self.preprocessing.crop(few.image_N3HW))
        self.network.memorise(views_B3HW, few.position_N3, few.orientation_N4)
        self._seen += len(batch.index_B)

    def _run(self, pixels: ScenePixels, index_B: torch.Tensor, random_BK: torch.Tensor, share: float) -> None:
        device = self.world.device
        with record_function("views"):
            views = training_views(pixels, index_B, random_BK, self.preprocessing, self.config.augmentation)
        before = torch.cat(self._statistics) if self._statistics else None
        self.optimizer.zero_grad(set_to_none=True)
        bfloat16 = self.config.precision == "bfloat16"
        with (
            record_function("network"),
            torch.autocast(device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=device.type != "cuda"),
        ):
            output = self.network(views.image_B3HW)
        with record_function("loss"):
            labels = Labels(views.position_B3, views.orientation_B4, views.depth_BHW, views.scene_B)
            terms = self.loss(output, labels)
        with record_function("gradient"):
            (terms["loss"] * share).backward()
            gradients = [p.grad for p in self._learnt if p.grad is not None]
            self.world.add_up(gradients)
        with record_function("optimizer"):
            norm = nn.utils.get_total_norm(gradients)
            if self.config.optimizer.clip_norm > 0:
                nn.utils.clip_grads_with_norm_(self._learnt, self.config.optimizer.clip_norm, norm)
            bad = (~torch.isfinite(norm)).float()
            optimizer: Any = self.optimizer
            optimizer.found_inf = bad  # the fused optimizer reads it on the device and then changes no weight
            optimizer.step()
        self._keep_books(bad, before, torch.stack([terms[name].detach() for name in self.loss.TERMS]), len(index_B))

    @torch.no_grad()
    def _keep_books(self, bad: torch.Tensor, before: torch.Tensor | None, terms: torch.Tensor, count: int) -> None:
        if before is not None:
            kept = torch.where(bad > 0, before, torch.cat(self._statistics))
            torch._foreach_copy_(self._statistics, list(kept.split([b.numel() for b in self._statistics])))
        self._sums += torch.where(bad > 0, torch.zeros_like(terms), terms * count)
        self._seen += (1 - bad) * count
        self._skipped += bad
        self._in_row.copy_((self._in_row + 1) * bad)

    def _recorded(self, index_B: torch.Tensor, random_BK: torch.Tensor, share: float) -> None:
        """A few eager steps on a side stream, as CUDA graphs require; then record once and replay from then on."""
        if self._graph is None and self._eager_steps < EAGER_STEPS:
            beside, current = torch.cuda.Stream(), torch.cuda.current_stream()
            beside.wait_stream(current)
            with torch.cuda.stream(beside):
                self._run(self.pixels, index_B, random_BK, share)
            current.wait_stream(beside)
            self._eager_steps += 1
            return
        if self._graph is None:
            self._index_B, self._random_BK = index_B.clone(), random_BK.clone()
            self._graph = torch.cuda.CUDAGraph()
            self.optimizer.zero_grad(set_to_none=True)
            with torch.cuda.graph(self._graph):
                self._run(self.pixels, self._index_B, self._random_BK, share)
        self._index_B.copy_(index_B)
        self._random_BK.copy_(random_BK)
        self._graph.replay()
