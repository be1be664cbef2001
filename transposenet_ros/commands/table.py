"""All commands of `transposenet`, in the order in which they are used; a command is imported only when it is used."""

from __future__ import annotations

import importlib
from types import ModuleType

# Name -> module and its HELP, which the tests compare with the module's own.
COMMANDS = {
    "bag-to-dataset": ("transposenet_ros.commands.bag_to_dataset", "convert a robot's recordings to posed images"),
    "check": (
        "transposenet_core.commands.check",
        "all faults of a data set, a card of figures, an overview image",
    ),
    "map": ("transposenet_core.commands.map", "make a map of a recording: better poses, its lens, and depth"),
    "train": ("transposenet_core.commands.train", "train on posed images of a scene"),
    "keyframes": (
        "transposenet_core.commands.keyframes",
        "give a scene model keyframes, against which poses are refined",
    ),
    "evaluate": ("transposenet_core.commands.evaluate", "evaluate a scene model on images it has not seen"),
    "localize": ("transposenet_core.commands.localize", "the poses of images: a table, or JSON"),
    "make-bag": ("transposenet_ros.commands.make_bag", "write a scene's posed images as a recording"),
    "replay": ("transposenet_ros.commands.replay", "replay a recording to the live node: errors, losses, latency"),
    "attention": ("transposenet_core.commands.attention", "draw what a model's two encoders attend to"),
    "render": ("transposenet_core.commands.render", "draw what a model expects a camera to see from a pose"),
    "export": (
        "transposenet_core.commands.export",
        "write the network as an ONNX or OpenVINO file for a runtime of your own",
    ),
    "convert": ("transposenet_core.commands.convert", "make a scene model from a public checkpoint"),
    "completion": ("transposenet_ros.commands.completion", "print the script for Tab completion in bash or zsh"),
}


def load_command(name: str) -> ModuleType:
    """The module of a command of the table."""
    return importlib.import_module(COMMANDS[name][0])
