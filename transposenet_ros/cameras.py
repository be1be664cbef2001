"""Several cameras in one process: a managed node for each, and one network that they share."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence

import rclpy
from rclpy.node import Node

from transposenet_core.errors import UserError
from transposenet_ros import parameters
from transposenet_ros.input.image_input import input_topic
from transposenet_ros.node_arguments import split_arguments, what_to_type

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def camera_names(args: Sequence[str] | None) -> list[str]:
    """What follows ``--cameras`` on the node's command line (None: the process's own). UserError for names that ROS
    does not take, and for arguments that are not in ROS's form."""
    parser = argparse.ArgumentParser(
        prog="localizer",
        usage="localizer [--cameras NAME ...] --ros-args -p model:=FOLDER -r image:=TOPIC [-p PARAMETER:=VALUE ...]",
        description="The localizer of one camera, or of several that share one network.",
        epilog="docs/parameters.md lists the parameters.",
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="a managed node for each, ~/NAME; images from NAME/image, or remapped with -r NAME:image:=TOPIC",
    )
    own, ros_arguments = split_arguments(_given(args))
    parsed, strangers = parser.parse_known_args(own)
    names = [name for name in parsed.cameras if ":=" not in name]
    if strangers := [*(name for name in parsed.cameras if ":=" in name), *strangers]:
        raise UserError(what_to_type(strangers, ros_arguments, ["--cameras", *names] if names else []))
    for name, times in Counter(names).items():
        if times > 1 or not NAME.fullmatch(name):
            found = f"is given {times} times" if times > 1 else "is not a ROS name"
            raise UserError(f"--cameras: '{name}' {found}; letters, digits and _, beginning with a letter, once each")
    return names


def camera_nodes(make_node: Callable[..., Node], names: Sequence[str], args: Sequence[str] | None) -> list[Node]:
    """The nodes ``~/NAME`` of a process that would otherwise be one node. Parameters and remappings go to each of them,
    what begins with ``NAME:`` to that one alone, as does the block of a parameter file that names it.

    Raises UserError where two of them would read the same images or publish where the robot is.
    """
    whole = rclpy.create_node("localizer", start_parameter_services=False, enable_rosout=False)
    namespace, group = whole.get_namespace().rstrip("/"), whole.get_fully_qualified_name()
    whole.destroy_node()
    nodes: list[Node] = []
    try:
        for name in names:
            # The first matching rule applies: the user's remappings come before the camera's defaults.
            own = [*_arguments_of(name, names, _given(args)), "-r", f"image:={namespace}/{name}/image"]
            nodes.append(make_node(name, namespace=group, cli_args=own, use_global_arguments=False))
        check(nodes)
    except Exception:
        for node in nodes:
            node.destroy_node()
        raise
    return nodes


def check(nodes: Sequence[Node]) -> None:
    """UserError where two nodes would read the same images, or publish where the robot is, on /tf or /initialpose."""
    read = [parameters.read(node) for node in nodes]
    topics = [input_topic(node, values.image_transport) for node, values in zip(nodes, read, strict=True)]
    for topic, times in Counter(topics).items():
        if times > 1:
            taken = " and ".join(node.get_name() for node, its in zip(nodes, topics, strict=True) if its == topic)
            raise UserError(f"--cameras: {taken} all subscribe to {topic}; remap each one with -r NAME:image:=TOPIC")
    leading = [
        node.get_name() for node, values in zip(nodes, read, strict=True) if values.tf_mode in parameters.OF_THE_ROBOT
    ]
    if len(leading) > 1:
        allowed_once = " or ".join(parameters.OF_THE_ROBOT)
        raise UserError(
            f"parameter 'tf_mode' is {allowed_once} for the cameras {' and '.join(leading)}, but only one may publish "
            f"where the robot is; set the others to none, as in -p {leading[1]}:tf_mode:=none"
        )
    starting = [
        node.get_name() for node, values in zip(nodes, read, strict=True) if values.publish_initialpose != "off"
    ]
    if len(starting) > 1:
        raise UserError(
            f"parameter 'publish_initialpose' is not off for the cameras {' and '.join(starting)}, but only one may "
            f"publish where the robot starts; set it for that one, as in -p {starting[0]}:publish_initialpose:=once"
        )


def topics_of(text: str) -> dict[str, str]:
    """Cameras and the topics of their images from "front=/front/image_raw rear=/rear/image_raw". UserError else."""
    pairs = [part.partition("=") for part in text.split()]
    topics = {name: topic for name, _, topic in pairs}
    if not all(topics.values()) or not all(map(NAME.fullmatch, topics)) or len(topics) < len(pairs):
        raise UserError(
            f"cameras:='{text}' has a camera without name or topic, or twice; give NAME=TOPIC for each, with blanks "
            "between"
        )
    return topics


def _given(args: Sequence[str] | None) -> Sequence[str]:
    return sys.argv[1:] if args is None else args


def _arguments_of(name: str, names: Sequence[str], args: Sequence[str]) -> list[str]:
    """The arguments for one camera. Rules that rename nodes are dropped, or all would have one name; a parameter that
    begins with a camera's name is that one's and comes last: ROS would assign it to a node without a namespace."""
    for_all: list[str] = []
    its_own: list[str] = []
    for argument in args:
        flag = for_all[-1] if for_all else ""
        for_one = re.match(r"(\w+):\w+:=", argument) if flag in ("-p", "--param", "-r", "--remap") else None
        if for_one and for_one[1] not in names and not for_one[1].startswith("__"):
            raise UserError(f"{flag} {argument}: '{for_one[1]}' is not one of the cameras {', '.join(names)}")
        whose, _, rule = argument.partition(":") if flag in ("-p", "--param") else ("", "", "")
        if flag in ("-r", "--remap") and re.match(r"(\w+:)?__(node|name|ns):=", argument):
            for_all.pop()
        elif whose in names and not rule.startswith("="):
            for_all.pop()
            its_own += ["-p", rule] if whose == name else []
        else:
            for_all.append(argument)
    return [*for_all, "--ros-args", *its_own]
