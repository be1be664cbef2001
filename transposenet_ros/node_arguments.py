"""Arguments of `localizer` that are not in ROS's form: what to type instead."""

from __future__ import annotations

from collections.abc import Sequence

from transposenet_core.suggestions import did_you_mean, nearest
from transposenet_ros.parameters import ROWS
from transposenet_ros.ros_commands import EXAMPLE, start_node

FLAGS = {"-p": "-p", "--param": "-p", "-r": "-r", "--remap": "-r", "--params-file": "--params-file"}
TOPICS = ("image", "image/compressed", "camera_info")
ROS_PARAMETERS = ("use_sim_time",)


def what_to_type(strangers: Sequence[str], ros_arguments: Sequence[str], arguments: Sequence[str] = ()) -> str:
    """One sentence for arguments that the program does not have: the whole line in ROS's form.

    `ros_arguments` are those that follow --ros-args, `arguments` the others that are right (--cameras).
    """
    rules, unknown = _in_ros_form(list(strangers))
    named = [*ros_arguments, *rules]
    if not any("model:=" in word or word == "--params-file" for word in named):
        named += EXAMPLE[:2]
    if not arguments and not any("image:=" in word for word in named):
        named += EXAMPLE[2:]
    hints = "".join(did_you_mean(name, [*ROWS, *TOPICS]) or "; docs/parameters.md lists them" for name in unknown[:1])
    found = " ".join(strangers)
    return (
        f"'{found}' is not an argument{hints}; parameters and topics follow --ros-args: {start_node(named, arguments)}"
    )


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The program's own arguments, and those that stand between --ros-args and -- or the end.

    A rule such as `image:=/camera` alone is ROS's as well, which takes it with a warning; one with the name of a
    parameter, or nearly that, would rename a topic that the node does not have, and is left to the program.
    """
    own: list[str] = []
    ros: list[str] = []
    inside = False
    for word in arguments:
        if word == "--ros-args" or (word == "--" and inside):
            inside = word == "--ros-args"
        elif inside:
            ros.append(word)
        elif ":=" not in word or (own and own[-1] in FLAGS) or _parameter_of(word.partition(":=")[0]):
            own.append(word)
        else:
            ros += ["-r", word]
    return own, ros


def _parameter_of(name: str) -> str | None:
    """The parameter that `name`, perhaps that of a camera before it, means."""
    own = name.rpartition(":")[2]
    if own in TOPICS or own.startswith(("/", "~", "__")):
        return None
    return own if own in ROS_PARAMETERS else nearest(own, ROWS)


def _in_ros_form(words: list[str]) -> tuple[list[str], list[str]]:
    """The words as -p NAME:=VALUE and -r TOPIC:=TOPIC, and the names that are neither parameter nor topic."""
    rules: list[str] = []
    unknown: list[str] = []
    while words:
        word = words.pop(0)
        name, given, value = word.lstrip("-").partition(":=" if ":=" in word else "=")
        if word in FLAGS:
            rules += [FLAGS[word], words.pop(0)] if words else []
            continue
        if not given and word.startswith("-"):
            value = words.pop(0) if words and not words[0].startswith("-") else "true"
        elif not given:
            name, value = "model", word  # a folder alone
        name = name if given == ":=" else name.replace("-", "_")
        if parameter := _parameter_of(name):
            prefix = name[: name.rfind(":") + 1]
            rules += ["-p", f"{prefix}{parameter}:={value}"]
            unknown += [] if name.endswith(parameter) else [name]
        elif name.rpartition(":")[2].startswith(("/", "~", "__")) or name.rpartition(":")[2] in TOPICS:
            rules += ["-r", f"{name}:={value}"]
        else:
            unknown.append(name)
    return rules, unknown
