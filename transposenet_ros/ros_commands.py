"""What to type to start or control a node, with programs that exist here: ROS from wheels has no `ros2`."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence

from transposenet_core.command_line import script_words
from transposenet_core.printable import printable

TRANSITIONS = {"configure": 1, "activate": 3}  # lifecycle_msgs/msg/Transition
EXAMPLE = ("-p", "model:=FOLDER", "-r", "image:=/camera/image_raw")


def start_node(ros_arguments: Sequence[str] = EXAMPLE, arguments: Sequence[str] = ()) -> str:
    """The line that starts the node, by the program where it is installed, else by its module."""
    words = script_words("localizer") or ["python", "-m", "transposenet_ros.localizer_program"]
    return " ".join(shlex.quote(printable(word)) for word in (*words, *arguments, "--ros-args", *ros_arguments))


def change_state(node: str, *steps: str) -> str:
    """How to bring the node with this full name through `steps` of TRANSITIONS."""
    if shutil.which("ros2"):
        return " and ".join(f"ros2 lifecycle set {node} {step}" for step in steps)
    numbers = ", then ".join(f"{TRANSITIONS[step]} ({step})" for step in steps)
    return f"call {node}/change_state (lifecycle_msgs/srv/ChangeState) with transition {numbers}"


def mend(node: str) -> str:
    """How to go on with a node that stays unconfigured, once the cause is known."""
    if shutil.which("ros2"):
        changed = f"fix the cause (for instance ros2 param set {node} model FOLDER)"
        return f"{changed}, then {change_state(node, 'configure', 'activate')}"
    return f"fix the cause, end the node with Ctrl-C and start it again: {start_node()}"
