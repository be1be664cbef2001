#!/usr/bin/env python3
"""Learn a scene from posed pictures: stage 1 of TransPoseNet (Eq. 5), on a CPU or on CUDA.

python training/train.py --config config/train/NAME.yaml --data 7scenes:PATH --split FILE --out DIR [key=value ...]

DIR becomes the scene model (model.safetensors, scene.json) with metrics.jsonl, tensorboard/ and checkpoint.safetensors
beside it. Frames of the test split are never read. Ctrl-C stops; --resume goes on after the last whole epoch.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
import yaml
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core import training as parts
from transposenet_core.atomic_files import write_atomically
from transposenet_core.checkpoint import Progress, load_checkpoint, save_checkpoint
from transposenet_core.command_line import exit_code
from transposenet_core.config import TrainConfig, load_config
from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, load_scene
from transposenet_core.holdout import hold_out_validation
from transposenet_core.localizer import choose_device
from transposenet_core.losses import LearnedWeightPoseLoss
from transposenet_core.optimization import build_optimizer, rate_factor, set_rate
from transposenet_core.pixels import load_pixels
from transposenet_core.pose import mean_pose
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Scene


def train(config: TrainConfig, scene: Scene, out: Path, resume: bool, provenance: dict) -> None:
    device = choose_device(config.device)
    preprocessing = Preprocessing(config.picture.smaller_edge, (config.picture.height, config.picture.width))
    training = scene.select("train")
    held_out = [image for image in scene.images if image.split == "val"]
    judged_on = f"{len(held_out)} held-out frames" if held_out else "the training frames (none were held out)"
    network, options = parts.build_network(config, training)
    network = network.to(device, memory_format=torch.channels_last)
    loss_function = LearnedWeightPoseLoss(config.loss.s_position, config.loss.s_orientation).to(device)
    optimizer = build_optimizer(network, loss_function, config.optimizer)
    progress = Progress()
    checkpoint = out / "checkpoint.safetensors"
    identity = config.to_dict() | {"frames": parts.frames_digest(scene)}
    if resume:
        progress = load_checkpoint(checkpoint, network, loss_function, optimizer, identity)
    with write_atomically(out / "config.yaml") as path:
        path.write_text(yaml.safe_dump(config.to_dict(), sort_keys=False))
    pixels = load_pixels(training, preprocessing, "train pictures").to(device)
    judged = load_pixels(held_out or training, preprocessing, "val pictures").to(device)
    truths = [image.pose for image in held_out or training]
    constant = mean_pose([image.pose for image in training])
    print(f"{scene.name}: {len(training)} training frames on {device}, judged on {judged_on}, {config.epochs} epochs")
    curves = parts.Curves(out)

    def judge(epoch: int) -> None:
        """Keep the scene model where the held-out frames like it better than any before."""
        validation = parts.validate(network, judged, preprocessing, truths, constant, judged_on)
        figures = validation.summary
        curves.write(
            epoch, val_median_m=figures.median_m, val_median_deg=figures.median_deg, val_score=validation.score
        )
        tqdm.write(f"epoch {epoch}: {judged_on}: median {figures.median_m:.3f} m {figures.median_deg:.2f} deg")
        if validation.score < progress.best_score:
            progress.best_score = validation.score
            model = parts.make_scene_model(scene, config, options, network, validation, provenance | {"epoch": epoch})
            model.save(out, config.half_precision_weights)

    try:
        if not resume:
            save_checkpoint(checkpoint, network, loss_function, optimizer, progress, identity)
        for epoch in range(progress.epoch, config.epochs):
            started, sums, seen = time.monotonic(), {}, 0
            generator = parts.seeded(config.seed, epoch)
            network.train()
            bar = tqdm(total=len(pixels), desc=f"epoch {epoch + 1}/{config.epochs}", unit="img", leave=False)
            for batch in parts.batches(pixels, config.batch_size, generator):
                factor = rate_factor(epoch + seen / len(pixels), config.epochs, config.schedule)
                set_rate(optimizer, config.optimizer.learning_rate * factor)
                image = parts.augment(batch.image_N3HW, preprocessing, config.augmentation, generator)
                with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                    output = network(image)
                terms = loss_function(output, batch.position_N3, batch.orientation_N4)
                optimizer.zero_grad()
                terms["loss"].backward()
                optimizer.step()
                seen += len(image)
                sums = {key: sums.get(key, 0.0) + float(value.detach()) * len(image) for key, value in terms.items()}
                bar.update(len(image))
                bar.set_postfix(position_m=f"{sums['position'] / seen:.3f}")
            bar.close()
            means = {f"train_{key}": value / max(seen, 1) for key, value in sums.items()}
            rate = optimizer.param_groups[0]["lr"]
            curves.write(epoch + 1, **means, learning_rate=rate, images_per_s=seen / (time.monotonic() - started))
            if (epoch + 1) % config.validate_every == 0 or epoch + 1 == config.epochs:
                judge(epoch + 1)
            progress.epoch = epoch + 1
            save_checkpoint(checkpoint, network, loss_function, optimizer, progress, identity)
    except KeyboardInterrupt:
        if not parts.is_usable(out):
            progress.best_score = float("inf")
            judge(progress.epoch)
        tqdm.write(f"stopped after {progress.epoch} whole epochs; {out} is usable, --resume goes on", file=sys.stderr)
        raise
    finally:
        curves.close()
    print(
        f"scene model: {out} (best score {progress.best_score:.3f}: the sum of both medians over the constant pose's)"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="formats:\n" + describe_formats(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, help="a preset of config/train")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", help="a CSV 'split,image'; the data set's own split where it is left out")
    parser.add_argument("--out", required=True, type=Path, help="the folder that becomes the scene model")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="for example epochs=20 optimizer.learning_rate=1e-4"
    )
    args = parser.parse_intermixed_args(arguments)
    return exit_code(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    config = load_config(args.config, args.overrides)
    if (args.out / "checkpoint.safetensors").exists() and not args.resume:
        raise UserError(f"{args.out} holds a run already: add --resume to go on, or name another --out")
    scene = hold_out_validation(load_scene(args.data, args.split))
    split = Path(args.split).name if args.split else "the data set's own"
    provenance = {"config_file": Path(args.config).name, "overrides": args.overrides, "split": split}
    train(config, scene, args.out, args.resume, provenance)


if __name__ == "__main__":
    sys.exit(main())
