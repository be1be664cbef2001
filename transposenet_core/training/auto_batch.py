"""`--auto-batch`: the batch size that this machine trains fastest with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch

from transposenet_core.errors import UserError
from transposenet_core.scene import Scene
from transposenet_core.training.augmentation.virtual_rotation import for_camera
from transposenet_core.training.batches import batches
from transposenet_core.training.checkpoint import State
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.data.depth import needs_depth, with_depth
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World
from transposenet_core.training.memory import fastest_batch_size
from transposenet_core.training.network import build_network, make_repeatable, preprocessing_of
from transposenet_core.training.optimization import build_optimizer
from transposenet_core.training.stages import plan
from transposenet_core.training.step import TrainStep
from transposenet_core.training.window import fitted_window

LARGEST = 512


def with_fastest_batch(config: TrainConfig, scene: Scene, world: World) -> TrainConfig:
    """The configuration with the fastest batch size and the rates that go with it (`with_batch`).

    Raises UserError in several processes: the measurement of one does not hold for all of them.
    """
    if world.size > 1:
        raise UserError(f"--auto-batch works with one process, found {world.size}; with torchrun set batch_size")
    make_repeatable(config)
    training = scene.select("train")
    # Enough images for the largest batch: a step's time does not depend on which they are.
    usable = for_camera(fitted_window(config, scene), scene)
    depth_camera = scene.depth_camera if needs_depth(usable, scene) else None
    few, workers = training[:LARGEST], config.workers
    pixels = load_pixels(few, preprocessing_of(usable), "auto-batch", workers, scene.intrinsics)
    if depth_camera:
        pixels = with_depth(pixels, few, depth_camera, workers)
    on_device = ScenePixels([pixels.to(world.device)])
    sizes = [size for size in (2**power for power in range(2, 10)) if size <= max(len(training) // 8, 4)]

    def step_of(size: int) -> Callable[[], None]:
        return _step_on(dataclasses.replace(usable, batch_size=size), on_device, world, scene)

    size, measured = fastest_batch_size(step_of, sizes)
    config = with_batch(config, size)
    rates = f"optimizer.learning_rate={config.optimizer.learning_rate:.3g}"
    if config.heads.epochs > 0:
        rates += f" heads.learning_rate={config.heads.learning_rate:.3g}"
    figures = ", ".join(f"{size}: {speed:.1f}" for size, speed in measured.items())
    print(f"--auto-batch: img/s by batch size: {figures}; chosen: batch_size={size} {rates}", flush=True)
    return config


def with_batch(config: TrainConfig, size: int) -> TrainConfig:
    """The configuration with another batch size, the learning rates of both stages scaled by the root of the ratio.

    The root is Adam's rule of thumb: the noise of the gradient falls with the root of the batch.
    """
    factor = math.sqrt(size / config.batch_size)
    optimizer = dataclasses.replace(config.optimizer, learning_rate=config.optimizer.learning_rate * factor)
    heads = dataclasses.replace(config.heads, learning_rate=config.heads.learning_rate * factor)
    return dataclasses.replace(config, batch_size=size, optimizer=optimizer, heads=heads)


def _step_on(config: TrainConfig, pixels: ScenePixels, world: World, scene: Scene) -> Callable[[], None]:
    """A step of the first stage on one batch, with a separate network."""
    stage = plan(config)[0]
    network = build_network(config, stage, [scene.select("train")], scene.intrinsics)
    network = network.to(world.device, memory_format=torch.channels_last)
    stage.freeze(network)
    stage.train_mode(network)
    loss = stage.build_loss(config, network).to(world.device)
    state = State(network, loss, build_optimizer(network, loss, stage, config.optimizer, world.device))
    step = TrainStep(state, pixels, preprocessing_of(config), config, world)
    batch = next(batches(pixels.counts, min(config.batch_size, len(pixels)), config.seed, 0, world))

    def run() -> None:
        step(batch, stage.learning_rate)
        step.faults()  # waits for the device

    return run
