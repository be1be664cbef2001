"""Configuration keys as options: ``--epochs 3`` and ``--epochs=3`` are the override ``epochs=3``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from transposenet_core.errors import UserError
from transposenet_core.training.config import TrainConfig, leaves

OPTIONS = "model.options"  # its keys are those of the model
# Keys that --help shows; --help-all has the others.
FIRST_KEYS = (
    "model.name",
    "epochs",
    "batch_size",
    "optimizer.learning_rate",
    "image.height",
    "image.width",
    "image.smaller_edge",
    "device",
    "seed",
    "start_from",
)
OTHER_MEANINGS = {"model.name": "the network; --help-all lists all with their options"}
GROUND_TRUTH = ("true", "false", "yes", "no", "on", "off")


def key_options() -> list[str]:
    """Every key as an option."""
    return [f"--{name}" for name, _, _ in leaves(TrainConfig()) if name != OPTIONS]


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """The first keys in the parser's help; `options_to_overrides` removes them before parsing."""
    group = parser.add_argument_group(
        "keys of the configuration, with their defaults where the preset has no other value",
        "Each as --KEY VALUE or KEY=VALUE, like all keys that --help-all lists.",
    )
    documented = {name: (value, info) for name, value, info in leaves(TrainConfig())}
    for name in FIRST_KEYS:
        value, info = documented[name]
        shown = "" if value == "" else f" (default: {value})"
        group.add_argument(
            f"--{name}",
            metavar="VALUE",
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            choices=info.allowed or None,
            help=f"{OTHER_MEANINGS.get(name, info.meaning)}{shown}",
        )


def options_to_overrides(arguments: Sequence[str]) -> list[str]:
    """What was typed with every ``--key value`` as ``key=value``; other options, none of which is a key, stay.

    A key may be written with - for _, and a boolean needs no value. UserError where a value is
    missing.
    """
    switches = {name for name, value, _ in leaves(TrainConfig()) if isinstance(value, bool)}
    names = {name for name, _, _ in leaves(TrainConfig())} - {OPTIONS}
    words, expanded = list(arguments), []
    while words:
        word = words.pop(0)
        option, separator, value = word.partition("=")
        key = option[2:].replace("-", "_")
        if not option.startswith("--") or not (key in names or key.startswith(f"{OPTIONS}.")):
            expanded.append(word)
            continue
        if not separator:
            if key in switches and not (words and words[0].lower() in GROUND_TRUTH):
                value = "true"
            elif not words or words[0].startswith("--"):
                raise UserError(f"{option}: its value is missing; write {option} VALUE or {key}=VALUE")
            else:
                value = words.pop(0)
        expanded.append(f"{key}={value}")
    return expanded
