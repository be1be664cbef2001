"""`transposenet train`: train on posed images of a scene, on a CPU, a GPU, or several of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import add_data_options, data_again, list_formats, load_given
from transposenet_core.commands.overrides import add_key_options, key_options, options_to_overrides
from transposenet_core.errors import UserError
from transposenet_core.presets import preset_path

if TYPE_CHECKING:
    from transposenet_core.scene import Scene
    from transposenet_core.training.autoencoder.training import AutoencoderTraining
    from transposenet_core.training.checkpoint import Checkpoint
    from transposenet_core.training.config import TrainConfig
    from transposenet_core.training.distributed import World
    from transposenet_core.training.loop import Training

HELP = "train on posed images of a scene"
DESCRIPTION = """Train on posed images of a scene, on a CPU, a GPU, or several of them.

  transposenet train --config scene_coordinates --data folder:my_place --out my_model --epochs 30
  torchrun --nproc-per-node 2 -m transposenet_ros.cli train ...      the same in two processes
  transposenet train --config multiscene_transformer --data A --data B --out DIR      two scenes

The folder --out becomes the scene model (model.safetensors, scene.json) with metrics.jsonl,
tensorboard/ and checkpoint.safetensors beside it. Frames of the test split are never read. Ctrl-C
stops; --resume continues after the last whole epoch, in any number of processes. Exit code 2:
an error to fix, in one sentence; 3: the training diverged."""

further_options = key_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", required=True, metavar="PRESET", help="a preset by its name, or a YAML file")
    add_data_options(parser)
    add("--no-check", action="store_true", help="skip the check of poses and files: transposenet check was run")
    add("--out", required=True, type=Path, metavar="DIR", help="the folder to write the scene model to")
    add("--resume", action="store_true", help="continue the run in --out")
    add("--override", action="store_true", help="with --resume: allow a changed configuration")
    add("--auto-batch", action="store_true", help="measure the fastest batch_size; learning rates scale with its root")
    add("overrides", nargs="*", metavar="key=value", help="for example epochs=20 optimizer.learning_rate=1e-4")
    add_key_options(parser)


def expand(arguments: list[str]) -> list[str]:
    return options_to_overrides(arguments)


def help_all() -> str:
    from transposenet_core.training.config_reading import describe_keys

    return f"{list_formats()}\n\nkeys (default, meaning, source):\n{describe_keys()}"


def run(args: argparse.Namespace) -> None:
    from transposenet_core.dataset_check.quick import quick_check
    from transposenet_core.several_scenes import split_name
    from transposenet_core.stopping import stoppable
    from transposenet_core.training.checkpoint import Checkpoint
    from transposenet_core.training.config_reading import load_config
    from transposenet_core.training.data.holdout import hold_out_validation, holdout_sentence
    from transposenet_core.training.distributed import joined
    from transposenet_core.training.least_steps import stretched_sentence, with_least_steps
    from transposenet_core.training.loop import Training
    from transposenet_core.training.memory import keep_freed_memory
    from transposenet_core.training.network import check_scene_count
    from transposenet_core.training.outcome import frames_digest

    keep_freed_memory()
    preset = preset_path(args.config)
    config = load_config(preset, args.overrides)
    train = training_of(config)
    if args.auto_batch and train is not Training:
        raise UserError("--auto-batch works for networks trained on images; leave it out for an auto-encoder")
    checkpoint = args.out / "checkpoint.safetensors"
    if checkpoint.exists() and not args.resume:
        raise UserError(f"{args.out} already holds a run: add --resume to continue it, or name another --out")
    scenes = load_given(args)
    if not args.no_check:
        scenes = [quick_check(data, scene, args.skip_bad) for data, scene in zip(args.data, scenes, strict=True)]
    whole = scenes
    if config.hold_out:
        scenes = [hold_out_validation(scene) for scene in whole]
    check_scene_count(config, len(scenes))
    split = "; ".join(split_name(args.split, number) for number in range(len(scenes)))
    provenance = {"config_file": preset.name, "overrides": args.overrides, "split": split}
    resumed = Checkpoint.read(checkpoint) if args.resume else None
    ending = "stops and leaves a scene model that can be used; once more: at once"
    with stoppable(ending), joined(config.device, config.batch_size) as world:
        if world.leads and config.hold_out:
            for scene, before in zip(scenes, whole, strict=True):
                print(f"{scene.name}: {holdout_sentence(scene, before)}", flush=True)
        if args.auto_batch:
            config = auto_batch(config, scenes, world, resumed)
        if not any(override.startswith("epochs=") for override in args.overrides):
            stretched = with_least_steps(config, scenes)
            if world.leads and (sentence := stretched_sentence(config, stretched)):
                print(sentence, flush=True)
            config = stretched
        if resumed:
            resumed.check(config.to_dict() | {"frames": frames_digest(*scenes)}, args.override)
        train(config, scenes, args.out, provenance, world, resumed).run()
        if world.leads:
            print(f"next: {next_command('evaluate', args.out, *data_again(args))}")


def training_of(config: TrainConfig) -> type[Training | AutoencoderTraining]:
    """The class that trains: an auto-encoder learns from another model, all other networks from images."""
    from transposenet_core.models import model_class, names_where
    from transposenet_core.training.autoencoder.training import AutoencoderTraining
    from transposenet_core.training.loop import Training

    if model_class(config.model.name).LEARNS_FROM == "teacher":
        return AutoencoderTraining
    if config.teacher:
        able = ", ".join(names_where(lambda model: model.LEARNS_FROM == "teacher"))
        raise UserError(f"teacher is given, but model '{config.model.name}' does not use one; {able} does")
    return Training


def auto_batch(config: TrainConfig, scenes: list[Scene], world: World, resumed: Checkpoint | None) -> TrainConfig:
    """The configuration with the batch size that is fastest here, or with that of a resumed run."""
    from transposenet_core.training.auto_batch import with_batch, with_fastest_batch

    if len(scenes) > 1:
        raise UserError("--auto-batch measures one scene, and --data is given several times; set batch_size instead")
    return with_batch(config, resumed.config["batch_size"]) if resumed else with_fastest_batch(config, scenes[0], world)
