"""All commands of `transposenet`, in the order in which they are used; nothing is imported before one is asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

# Name -> module and its HELP, which the tests hold against the module's own.
COMMANDS = {
    "bag-to-dataset": ("transposenet_ros.commands.bag_to_dataset", "posed images out of a robot's recordings"),
    "check": (
        "transposenet_core.commands.check",
        "everything that is wrong with a data set, a card of figures, an image",
    ),
    "train": ("transposenet_core.commands.train", "learn a scene from posed images"),
    "evaluate": ("transposenet_core.commands.evaluate", "judge a scene model on images it has not seen"),
    "localize": ("transposenet_core.commands.localize", "where images were taken: a table, or JSON"),
    "make-bag": ("transposenet_ros.commands.make_bag", "a scene's posed images as a recording"),
    "replay": ("transposenet_ros.commands.replay", "a recording through the live node: errors, losses, latency"),
    "attention": ("transposenet_core.commands.attention", "draw what a model's two encoders attend to"),
    "render": ("transposenet_core.commands.render", "draw what a model expects a camera to see from a pose"),
    "convert": ("transposenet_core.commands.convert", "make a scene model of a public checkpoint"),
    "completion": ("transposenet_ros.commands.completion", "print what lets a shell complete all of this with Tab"),
}


def load_command(name: str) -> ModuleType:
    """The module of a command of the table."""
    return importlib.import_module(COMMANDS[name][0])
