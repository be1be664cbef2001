"""The training loop: stages, epochs, steps, and what is saved."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from torch import nn

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import TrainingDivergedError
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import Scene, common_units, unit_name
from transposenet_core.training.augmentation.virtual_rotation import for_camera
from transposenet_core.training.averaging import MovingAverage
from transposenet_core.training.batch_statistics import settled
from transposenet_core.training.batches import batches
from transposenet_core.training.checkpoint import START, Checkpoint, Progress, State, save_checkpoint
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.curves import Curves
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World, share_batch_statistics
from transposenet_core.training.keyframes import SceneKeyframes
from transposenet_core.training.memory import names_the_batch_size
from transposenet_core.training.network import (
    build_network,
    check_scene_count,
    check_start,
    fill_backbone,
    make_repeatable,
    model_options,
    preprocessing_of,
    with_typical_depth,
)
from transposenet_core.training.optimization import build_optimizer, rate_factor
from transposenet_core.training.outcome import Outcome, frames_digest, is_usable
from transposenet_core.training.refinement_error import scene_keyframes
from transposenet_core.training.scene_data import load_scene_data
from transposenet_core.training.scene_validation import scene_validators_of
from transposenet_core.training.stages import Stage, load_start, plan
from transposenet_core.training.step import TrainStep
from transposenet_core.training.trained_frames import TrainedFrames, checked_after
from transposenet_core.training.window import fitted_window, window_sentence

PATIENCE = 20  # steps in a row without a finite gradient


class Training:
    """One run: `out` becomes the scene model, with metrics.jsonl, tensorboard/ and checkpoint.safetensors beside it.

    `scenes` are those that the network learns, in its order. Raises UserError for what a user can fix,
    TrainingDivergedError if the gradient stays not finite.
    """

    def __init__(
        self,
        config: TrainConfig,
        scenes: Sequence[Scene],
        out: Path,
        provenance: dict,
        world: World,
        resumed: Checkpoint | None = None,
    ) -> None:
        make_repeatable(config)
        check_scene_count(config, len(scenes))
        self.world, self.resumed = world, resumed
        self.checkpoint = out / "checkpoint.safetensors"
        self.stages = plan(config)
        self.identity = config.to_dict() | {"frames": frames_digest(*scenes)}
        names = [START] * bool(config.start_from) + [stage.learns for stage in self.stages]
        self.progress = resumed.progress_in(names, config.epochs) if resumed else Progress(stages=names)
        check_start(config, scenes)
        given, config = config, fitted_window(config, scenes[0])
        if world.leads and (sentence := window_sentence(given, config, scenes[0])):
            print(sentence, flush=True)
        for each in scenes:
            config = for_camera(config, each)
        self.config, self.preprocessing = config, preprocessing_of(config)
        self.recorded = list(scenes)
        self.data = [load_scene_data(each, config, self.preprocessing, world, n) for n, each in enumerate(scenes)]
        self.pixels = ScenePixels([each.pixels for each in self.data])
        run = out if resumed else None
        self.config = config = with_typical_depth(config, self.data[0].pixels.distances, run)
        self.outcome = Outcome(
            out, [each.scene for each in self.data], config, scene_validators_of(self.data), provenance
        )

    def run(self) -> None:
        """Run all remaining stages."""
        if self.world.leads:
            for left in self.outcome.out.glob(".*.partial*"):  # left by a killed process
                left.unlink()
            with write_atomically(self.outcome.out / "config.yaml") as path:
                path.write_text(yaml.safe_dump(self.config.to_dict(), sort_keys=False))
            where = f"{self.world.size} x {self.world.device}"
            print(
                f"{len(self.pixels)} training frames, validated on {self.outcome.validators.source}, {where}",
                flush=True,
            )
            self.outcome.keyframes = [self._keyframes(scene) for scene in self.recorded]
        progress = self.progress
        self.started, self.epochs_at_start = time.monotonic(), progress.epochs_before + progress.epoch
        for number in range(progress.stage, len(self.stages)):
            stage = self.stages[number]
            if number > progress.stage:
                progress.epochs_before += self.stages[number - 1].epochs
                progress.stage, progress.epoch = number, 0
            with names_the_batch_size(self.config):
                self._learn(stage, self._begin(stage))
        if self.world.leads:
            self.outcome.measure_bfloat16()
            print(self.outcome.report(progress))

    def _keyframes(self, scene: Scene) -> SceneKeyframes | None:
        made, sentence = scene_keyframes(scene, self.config.keyframes, self.config.workers, self.config.seed)
        if sentence:
            print(sentence, flush=True)
        return made

    def _begin(self, stage: Stage) -> State:
        """The network as the stage before left it, the loss and the optimizer; or all of them as resumed."""
        config, world = self.config, self.world
        network = build_network(config, stage, [each.training for each in self.data], self.data[0].camera)
        if world.leads and not self.resumed:
            if self.progress.stage > 0:
                load_start(network, model_options(config, stage, self.data[0].camera, len(self.data)), self.outcome.out)
            else:
                self.progress.backbone = fill_backbone(network, config)
        network = share_batch_statistics(network.to(world.device, memory_format=torch.channels_last), world)
        world.agree(network)
        stage.freeze(network)
        if self.resumed:
            self.resumed.load_network(network)  # the loss of several scenes is built from the network's clusters
        loss = stage.build_loss(config, network).to(world.device)
        world.agree(loss)
        optimizer = build_optimizer(network, loss, stage, config.optimizer, world.device)
        average = MovingAverage(network, config.ema_decay) if config.ema_decay > 0 else None
        state = State(network, loss, optimizer, average)
        if self.resumed:
            self.resumed.load_into(state)
            self.resumed = None
        return state

    def _learn(self, stage: Stage, state: State) -> None:
        stage.train_mode(state.network)
        step = TrainStep(state, self.pixels, self.preprocessing, self.config, self.world)
        curves = Curves(self.outcome.out) if self.world.leads else None
        try:
            if curves and self.progress.stages[0] == START and not self.progress.best:
                self.outcome.consider(state.validated, stage, self.progress, 0, curves, name=START)
            self._save(state)
            for epoch in range(self.progress.epoch, stage.epochs):
                figures = self._epoch(stage, state, step, epoch)
                healthy = step.faults()[1] == 0
                if curves:
                    curves.write(self.progress.epochs_before + epoch + 1, stage.learns, **figures)
                    if healthy and stage.learns == "all" and checked_after(epoch + 1, stage.epochs):
                        self._look_at_training_frames(state, stage, epoch + 1, curves)
                    if healthy and ((epoch + 1) % self.config.validate_every == 0 or epoch + 1 == stage.epochs):
                        network = self._settled(state, stage, epoch + 1)
                        self.outcome.consider(network, stage, self.progress, epoch + 1, curves)
                if healthy:  # otherwise the last good checkpoint is kept
                    self.progress.epoch = epoch + 1
                    self._save(state)
            self._stop_where_it_diverged(step, patience=1)
        except KeyboardInterrupt:
            self._leave_usable(stage, state, curves)
            raise
        finally:
            if curves:
                curves.close()

    def _settled(self, state: State, stage: Stage, epoch: int) -> nn.Module:
        """The network to validate after `epoch` epochs of a stage; a head alone has no batch statistics to settle."""
        if stage.learns != "all" or epoch == 0:
            return state.validated
        return settled(state.validated, self.pixels, self.preprocessing, self.config, self.world, epoch)

    def _look_at_training_frames(self, state: State, stage: Stage, epoch: int, curves: Curves) -> None:
        """Write the errors on a sample of them, and warn where they are not learnt."""
        counts = self.pixels.counts
        steps = math.ceil(len(counts) * max(counts) / self.config.batch_size)
        trained = TrainedFrames.of(self.data, unit_name(common_units([each.scene for each in self.data])))
        found = trained(self._settled(state, stage, epoch))
        curves.write(
            self.progress.epochs_before + epoch,
            stage.learns,
            trained_median_m=found.summary.median_m,
            trained_median_deg=found.summary.median_deg,
            trained_score=found.score,
        )
        if warning := trained.warning(found, epoch, stage.epochs, steps):
            ProgressBar.write(f"warning: {warning}", file=sys.stderr)

    def _epoch(self, stage: Stage, state: State, step: TrainStep, epoch: int) -> dict[str, float]:
        """One pass over all images. Returns the epoch's metrics."""
        config, world, counts = self.config, self.world, self.pixels.counts
        count = len(counts) * max(counts)
        started, seen, rate = time.monotonic(), 0, 0.0
        stage.train_mode(state.network)
        step.reset()
        name = f"{stage.learns} {epoch + 1}/{stage.epochs}"
        bar = ProgressBar(total=count, desc=name, unit="img", leave=False, mininterval=0.5, disable=not world.leads)
        with bar:
            for number, batch in enumerate(
                batches(counts, config.batch_size, config.seed, epoch, world, stage.neighbours(config))
            ):
                rate = stage.learning_rate * rate_factor(epoch + seen / count, stage.epochs, stage.schedule)
                step(batch, rate)
                seen += batch.total
                bar.update(batch.total)
                if world.device.type == "cpu" or number % 10 == 0:  # reading a number from a GPU waits for it
                    self._stop_where_it_diverged(step, PATIENCE)
                    if world.leads:
                        bar.set_postfix_str(self._postfix(step, stage, epoch + seen / count), refresh=False)
            means = step.means()
        figures = {f"train_{key}": value for key, value in means.items()}
        seconds = time.monotonic() - started
        figures |= {"learning_rate": rate, "seconds": seconds, "images_per_s": seen / seconds}
        return figures | {"skipped_steps": step.faults()[0]}

    def _postfix(self, step: TrainStep, stage: Stage, epochs: float) -> str:
        """The epoch's mean loss so far, and the time that all stages still need at the speed of this run."""
        done = self.progress.epochs_before + epochs
        left = sum(each.epochs for each in self.stages) - done
        elapsed = time.monotonic() - self.started
        whole = ProgressBar.format_interval(elapsed / max(done - self.epochs_at_start, 1e-9) * left)
        loss = step.running_loss()
        return f"whole run {whole} left" if math.isnan(loss) else f"loss {loss:.4g}, whole run {whole} left"

    def _save(self, state: State) -> None:
        if self.world.leads:
            save_checkpoint(self.checkpoint, state, self.progress, self.identity)

    def _stop_where_it_diverged(self, step: TrainStep, patience: int) -> None:
        in_row = step.faults()[1]
        if in_row >= patience:
            good = f"{self.checkpoint} holds the last good state (stage {self.progress.stage + 1}, "
            stage = self.stages[self.progress.stage]
            rate = f"{'optimizer' if stage.learns == 'all' else 'heads'}.learning_rate below {stage.learning_rate:g}"
            raise TrainingDivergedError(
                f"the last {in_row} steps had no finite gradient and were skipped; {good}epoch {self.progress.epoch}): "
                f"continue with --resume --override optimizer.clip_norm=1 or {rate}"
            )

    def _leave_usable(self, stage: Stage, state: State, curves: Curves | None) -> None:
        """Leave a scene model after Ctrl-C, even if it is untrained."""
        if not curves:
            return
        if not is_usable(self.outcome.out):
            self.progress.best_score = float("inf")
            network = self._settled(state, stage, self.progress.epoch)
            self.outcome.consider(network, stage, self.progress, self.progress.epoch, curves)
        whole = f"{self.progress.epoch} whole epochs of stage {self.progress.stage + 1}"
        ProgressBar.write(f"stopped after {whole}; {self.outcome.out} is usable, --resume continues", file=sys.stderr)
