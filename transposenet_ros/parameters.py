"""The localizer's parameters: one typed table that declares them, checks them and prints docs/parameters.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from transposenet_core.errors import UserError
from transposenet_core.suggestions import did_you_mean

# When a value may be changed: a change that is accepted but takes effect later would mislead.
Change = Literal["only at start", "while unconfigured", "any time"]
TYPE_NAMES = {str: "string", bool: "bool", int: "integer", float: "double"}
OF_THE_ROBOT = ("map_to_base", "map_to_odom")  # values of tf_mode: transforms of the robot, which has one place


def _row(
    default: Any,
    description: str,
    change: Change = "while unconfigured",
    choices: tuple[str, ...] = (),
    limits: tuple[float, float] | None = None,
) -> Any:
    return field(
        default=default,
        metadata={"description": description, "change": change, "choices": choices, "limits": limits},
    )


@dataclass(frozen=True)
class Parameters:
    """A row per parameter: its type and default, and in the metadata what is allowed, when, and what it is for."""

    model: str = _row(
        "",
        "Folder of the scene model: what transposenet train --out wrote; a change while the node is configured loads "
        "the new one first and keeps the old one where that fails",
        "any time",
    )
    models_dir: str = _row(
        "", "Folder below which every model must lie; empty: anywhere at start, and no change after", "only at start"
    )
    device: str = _row("auto", "Where the network runs; auto is CUDA if available", choices=("auto", "cpu", "cuda"))
    backend: str = _row(
        "auto",
        "What runs the network (docs/performance.md): auto is the fastest that is installed and gives the poses of "
        "torch",
        choices=("auto", "torch", "onnxruntime", "openvino"),
    )
    refine: str = _row(
        "auto",
        "Whether poses are refined against the keyframes of the scene model; auto: where it has some, on: it must have "
        "some",
        choices=("off", "on", "auto"),
    )
    on_device_error: str = _row(
        "cpu", "If a GPU runs out of memory twice in a row: continue on the CPU, or fail", choices=("cpu", "error")
    )
    image_transport: str = _row(
        "raw",
        "raw subscribes to the topic image (sensor_msgs/Image), compressed to image/compressed "
        "(sensor_msgs/CompressedImage); for both remap image, to the topic without /compressed",
        choices=("raw", "compressed"),
    )
    image_qos: str = _row(
        "auto",
        "Reliability of the subscription: sensor_data is best effort, auto is reliable while every publisher offers it",
        choices=("auto", "sensor_data", "reliable"),
    )
    decoder: str = _row(
        "builtin",
        "Converter of raw images: builtin needs no package, cv_bridge is ROS's own and has to be installed "
        "(docs/decoding.md)",
        choices=("builtin", "cv_bridge"),
    )
    map_frame: str = _row("", "Frame of the published poses; empty: the scene model's")
    scale: float = _row(
        0.0,
        "Metres that a unit of a scene model in arbitrary units has (COLMAP, nerfstudio); 0.0: none is given, and such "
        "a model is refused",
        limits=(0.0, 1e6),
    )
    publish_unscaled: bool = _row(
        False, "Publish poses of a scene model in arbitrary units as they are, as if they were metres"
    )
    camera_frame: str = _row("", "Frame of the camera's optical axes; empty: the image's frame_id")
    tf_mode: str = _row(
        "map_to_camera",
        "Transform on /tf; map_to_camera only where the camera's frame has no other parent, map_to_base where the base "
        "has none, map_to_odom with odometry",
        choices=("none", "map_to_camera", *OF_THE_ROBOT),
    )
    base_frame: str = _row("base_link", "Frame of the robot's base, for ~/base_pose and tf_mode; empty: none")
    odom_frame: str = _row("odom", "Frame of the odometry, for tf_mode map_to_odom")
    tf_timeout: float = _row(
        0.1, "Seconds to wait for a transform that is late for the image's stamp", "any time", limits=(0.0, 5.0)
    )
    transform_tolerance: float = _row(
        0.1, "Seconds that map_to_odom is stamped ahead of its image", "any time", limits=(0.0, 10.0)
    )
    publish_initialpose: str = _row(
        "off",
        "The base's pose on /initialpose, as soon as three localized frames in a row agree: once after activation, or "
        "after each call of ~/relocalize",
        choices=("off", "once", "on_relocalize"),
    )
    on_camera_mismatch: str = _row(
        "warn",
        "If CameraInfo is not of the training camera: warn and continue, drop the frames, or warp the images",
        choices=("warn", "refuse", "warp"),
    )
    out_of_scene: str = _row(
        "drop",
        "A frame that the model takes for one of another place: drop it, or publish its pose anyway",
        choices=("drop", "publish"),
    )
    rectified: bool = _row(False, "The live images are already rectified (image_rect)")
    path_length: int = _row(1000, "Poses kept for ~/path", limits=(1, 1000000))
    path_spacing: float = _row(0.05, "Metres between two poses of ~/path", limits=(0.0, 1000.0))
    stamp_policy: str = _row(
        "drop", "A frame without a stamp: drop it, or stamp it on arrival", choices=("drop", "receive_time")
    )
    future_tolerance: float = _row(
        1.0, "Seconds that a stamp may be ahead of the node's clock; beyond: future_stamp", limits=(0.0, 1e9)
    )
    max_age: float = _row(
        5.0,
        "Seconds that a stamp may be behind the node's clock on arrival; beyond: stale; more than 60 behind from the "
        "start is a recording or another clock, which is accepted with a WARN; 0.0 accepts any age",
        limits=(0.0, 1e9),
    )
    idle_without_listeners: bool = _row(True, "Run no inference while no output has a subscriber")
    autostart: bool = _row(
        True, "Configure and activate at start; false leaves it to a life-cycle manager", "only at start"
    )
    torch_threads: int = _row(0, "Threads of one inference on a CPU; 0: torch's default", limits=(0, 256))
    no_frames_timeout: float = _row(
        5.0, "Seconds without a frame, or with a stopped /clock, until a WARN gives the cause", limits=(0.1, 3600.0)
    )
    stale_after: float = _row(
        0.8,
        "Seconds of the node's clock without a frame until diagnostics are STALE",
        "any time",
        limits=(0.05, 60.0),
    )
    diagnostics_period: float = _row(1.0, "Seconds between messages on /diagnostics", "any time", limits=(0.05, 60.0))


ROWS = {row.name: row for row in dataclasses.fields(Parameters)}
TYPES = {name: type(row.default) for name, row in ROWS.items()}


def fault_of(name: str, value: object) -> str | None:
    """What is wrong with a parameter's value, as a sentence with what is allowed; None for a good one."""
    allowed = f"; allowed is {allowed_text(name)}"
    if type(value) is not TYPES[name]:
        hint = f" (write {value}.0)" if TYPES[name] is float and type(value) is int else ""
        return f"parameter '{name}' is the {type(value).__name__} {value!r}{allowed}{hint}"
    choices, limits = ROWS[name].metadata["choices"], ROWS[name].metadata["limits"]
    if (choices and value not in choices) or (limits and not limits[0] <= value <= limits[1]):  # type: ignore[operator]
        return f"parameter '{name}' is {value!r}{allowed}"
    return None


def allowed_text(name: str) -> str:
    """The allowed values in words, for messages and the documentation."""
    choices, limits = ROWS[name].metadata["choices"], ROWS[name].metadata["limits"]
    if choices:
        return ", ".join(choices)
    kind = TYPE_NAMES[TYPES[name]]
    return f"{kind} from {limits[0]:g} to {limits[1]:g}" if limits else f"any {kind}"


def declare(node: Node) -> None:
    """Declare every row on a node. UserError names each override that is unknown, of a wrong type or out of range."""
    overrides = node._parameter_overrides  # the only place where a misspelt parameter shows: rclpy ignores those
    overrides.update({name: as_meant(override) for name, override in overrides.items()})
    given = {name: each.value for name, each in overrides.items() if not name.startswith("qos_overrides.")}
    if found := _faults(node, given):
        raise UserError(found)
    for name, row in ROWS.items():
        node.declare_parameter(name, row.default, _descriptor(name))
    node.add_pre_set_parameters_callback(lambda changes: _checked(node, [as_meant(change) for change in changes]))


class RefusedParameterError(ParameterNotDeclaredException):
    """A change that the table does not have. Its sentence is the service's response in place of rclpy's own, which
    names no parameter (`Invalid access to undeclared parameter(s): []`)."""

    def __init__(self, sentence: str) -> None:
        Exception.__init__(self, sentence)


def as_meant(parameter: Parameter) -> Parameter:
    """YAML, and with it `ros2 param set`, reads a bare `off` or `on` as a bool: this restores the word for a row
    that has it."""
    row = ROWS.get(parameter.name)
    if row is None or type(parameter.value) is not bool:
        return parameter
    word = "on" if parameter.value else "off"
    return Parameter(parameter.name, value=word) if word in row.metadata["choices"] else parameter


def read(node: Node) -> Parameters:
    """The values that the node has now."""
    return Parameters(**{name: node.get_parameter(name).value for name in ROWS})


def check_change(parameters: list[Parameter], unconfigured: bool) -> SetParametersResult:
    """Whether a change at run time to allowed values may happen now: all of it or nothing, with the reason."""
    for parameter in parameters:
        row = ROWS.get(parameter.name)
        if row is not None and row.metadata["change"] == "while unconfigured" and not unconfigured:
            reason = (
                f"parameter '{parameter.name}' can be changed only while the node is unconfigured; clean it up first"
            )
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def _checked(node: Node, changes: list[Parameter]) -> list[Parameter]:
    """The changes, by the rules of the start. RefusedParameterError."""
    if found := _faults(node, {change.name: change.value for change in changes}):
        raise RefusedParameterError(found)
    return changes


def _faults(node: Node, values: Mapping[str, object]) -> str:
    """What is wrong with these parameters of a node, all of it; '' where nothing is."""
    found = []
    for name, value in values.items():
        if name in ROWS:
            found.append(fault_of(name, value))
        elif not node.has_parameter(name):  # rclpy declares some of its own
            hint = did_you_mean(name, ROWS) or f"; known are {', '.join(ROWS)}"
            found.append(f"parameter '{name}' (value {value!r}) is unknown{hint}")
    return "; ".join(filter(None, found))


def _descriptor(name: str) -> ParameterDescriptor:
    row = ROWS[name].metadata
    descriptor = ParameterDescriptor(description=row["description"], read_only=row["change"] == "only at start")
    descriptor.additional_constraints = f"{allowed_text(name)}; can be changed {row['change']}"
    if row["limits"]:
        low, high = row["limits"]
        if TYPES[name] is int:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def markdown() -> str:
    """docs/parameters.md."""
    lines = [
        "# Parameters of the localizer",
        "",
        "Printed by `python -m transposenet_ros.parameters`; a test compares. Set them on the command line",
        "(`--ros-args -p NAME:=VALUE`), in a file (`config/localizer.yaml`) or by `ros2 param set`.",
        "",
        "| name | type | default | allowed | can be changed | what it is for |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        default = (
            f"`{str(row.default).lower() if TYPES[name] is bool else row.default}`" if row.default != "" else "empty"
        )
        cells = [f"`{name}`", TYPE_NAMES[TYPES[name]], default, allowed_text(name), row.metadata["change"]]
        lines.append("| " + " | ".join([*cells, row.metadata["description"]]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
