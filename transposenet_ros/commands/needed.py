"""Checks, without an import, for what a command needs besides the packages of requirements.txt."""

from __future__ import annotations

import importlib.util
import sys

from transposenet_core.errors import UserError

HOW_TO_GET = {
    "rclpy": "source ROS 2 Jazzy and use its Python, or run `make setup` in a checkout, which installs ROS from wheels",
    "rosbags": "pip install rosbags",
}


def require(what: str, *modules: str) -> None:
    """UserError where a module is not installed. None is imported: rclpy's wheels restart Python when it is."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{what} needs {module}, which {sys.executable} cannot import; {HOW_TO_GET[module]}")
