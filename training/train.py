#!/usr/bin/env python3
"""Learn a scene from posed pictures, on a CPU, a GPU, or several of them.

python training/train.py --config config/train/NAME.yaml --data 7scenes:PATH --split FILE --out DIR [key=value ...]
torchrun --nproc-per-node 2 training/train.py ...      the same run in two processes
python training/train.py --config config/train/multiscene_transformer.yaml --data A --data B --out DIR     two scenes

DIR becomes the scene model (model.safetensors, scene.json) with metrics.jsonl, tensorboard/ and checkpoint.safetensors
beside it. Frames of the test split are never read. Ctrl-C stops; --resume goes on after the last whole epoch, in any
number of processes. Exit code 2: something to mend, said in one sentence; 3: the training diverged.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.dataset_check.quick import quick_check
from transposenet_core.errors import UserError
from transposenet_core.formats import SKIP_BAD_HELP, SPLIT_HELP, describe_formats
from transposenet_core.models import model_class, names_where
from transposenet_core.scene import Scene
from transposenet_core.several_scenes import (
    NAME_HELP,
    SEVERAL_HELP,
    SEVERAL_SPLITS_HELP,
    load_scenes,
    split_name,
)
from transposenet_core.training.auto_batch import with_batch, with_fastest_batch
from transposenet_core.training.autoencoder.training import AutoencoderTraining
from transposenet_core.training.checkpoint import Checkpoint
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.config_reading import describe_keys, load_config
from transposenet_core.training.data.holdout import hold_out_validation
from transposenet_core.training.distributed import World, joined
from transposenet_core.training.loop import Training
from transposenet_core.training.network import check_scene_count
from transposenet_core.training.outcome import frames_digest


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"formats of --data:\n{describe_formats()}\n\nkeys (default, meaning, source):\n{describe_keys()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, help="a preset of config/train")
    parser.add_argument("--data", required=True, action="append", metavar="FORMAT:PATH", help=SEVERAL_HELP)
    parser.add_argument("--split", action="append", default=[], help=f"{SPLIT_HELP}; {SEVERAL_SPLITS_HELP}")
    parser.add_argument("--name", action="append", default=[], help=NAME_HELP)
    parser.add_argument("--skip-bad", action="store_true", help=SKIP_BAD_HELP)
    parser.add_argument("--no-check", action="store_true", help="trust poses and files: check_dataset.py has seen them")
    parser.add_argument("--out", required=True, type=Path, help="the folder that becomes the scene model")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--override", action="store_true", help="with --resume: the changed configuration is meant")
    parser.add_argument(
        "--auto-batch", action="store_true", help="measure which batch_size is fastest here; the rates go by its root"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="for example epochs=20 optimizer.learning_rate=1e-4"
    )
    args = parser.parse_intermixed_args(arguments)
    return exit_code(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    config = load_config(args.config, args.overrides)
    train = training_of(config)
    if args.auto_batch and train is not Training:
        raise UserError("--auto-batch measures networks that learn from pictures; leave it out for an auto-encoder")
    checkpoint = args.out / "checkpoint.safetensors"
    if checkpoint.exists() and not args.resume:
        raise UserError(f"{args.out} holds a run already: add --resume to go on, or name another --out")
    scenes = load_scenes(args.data, args.split, args.name, args.skip_bad)
    if not args.no_check:
        scenes = [quick_check(data, scene, args.skip_bad) for data, scene in zip(args.data, scenes, strict=True)]
    if config.hold_out:
        scenes = [hold_out_validation(scene) for scene in scenes]
    check_scene_count(config, len(scenes))
    split = "; ".join(split_name(args.split, number) for number in range(len(scenes)))
    provenance = {"config_file": Path(args.config).name, "overrides": args.overrides, "split": split}
    resumed = Checkpoint.read(checkpoint) if args.resume else None
    with joined(config.device, config.batch_size) as world:
        if args.auto_batch:
            config = auto_batch(config, scenes, world, resumed)
        if resumed:
            resumed.check(config.to_dict() | {"frames": frames_digest(*scenes)}, args.override)
        train(config, scenes, args.out, provenance, world, resumed).run()


def training_of(config: TrainConfig) -> type[Training] | type[AutoencoderTraining]:
    """The way through a training: an auto-encoder learns from another model, everything else from pictures."""
    if model_class(config.model.name).LEARNS_FROM == "teacher":
        return AutoencoderTraining
    if config.teacher:
        able = ", ".join(names_where(lambda model: model.LEARNS_FROM == "teacher"))
        raise UserError(f"teacher is given, but model '{config.model.name}' learns from none; {able} does")
    return Training


def auto_batch(config: TrainConfig, scenes: list[Scene], world: World, resumed: Checkpoint | None) -> TrainConfig:
    """The configuration with the batch size that is fastest here, or with the one a resumed run has."""
    if len(scenes) > 1:
        raise UserError("--auto-batch measures one scene, and --data is given several times; give batch_size itself")
    return with_batch(config, resumed.config["batch_size"]) if resumed else with_fastest_batch(config, scenes[0], world)


if __name__ == "__main__":
    sys.exit(main())
