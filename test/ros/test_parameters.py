"""One table declares, checks and documents the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rclpy
import yaml
from live import ROOT
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from transposenet_core.errors import UserError
from transposenet_ros import parameters
from transposenet_ros.parameters import ROWS, Parameters, check_change, fault_of, markdown
from transposenet_ros.replay.processes import free_domain


@contextmanager
def node_with(**overrides: object) -> Iterator[Node]:
    context = Context()
    with free_domain() as domain:
        rclpy.init(context=context, domain_id=domain)
        listed = [Parameter(name, value=value) for name, value in overrides.items()]
        node = rclpy.create_node("table", context=context, parameter_overrides=listed)
        try:
            yield node
        finally:
            node.destroy_node()
            rclpy.shutdown(context=context, uninstall_handlers=False)


def test_defaults_are_allowed_and_described() -> None:
    for name, row in ROWS.items():
        assert fault_of(name, row.default) is None
        assert row.metadata["description"], name


def test_documentation_and_parameter_file_follow_the_table() -> None:
    assert (ROOT / "docs" / "parameters.md").read_text() == markdown(), "run python -m transposenet_ros.parameters"
    file = yaml.safe_load((ROOT / "config" / "localizer.yaml").read_text())
    assert file == {"/**": {"ros__parameters": {name: row.default for name, row in ROWS.items()}}}


def test_values_are_declared_with_ranges_and_read_back() -> None:
    with node_with(device="cpu", diagnostics_period=0.5, model="/a/b") as node:
        parameters.declare(node)
        assert parameters.read(node) == Parameters(device="cpu", diagnostics_period=0.5, model="/a/b")
        threads = node.describe_parameter("torch_threads")
        assert (threads.integer_range[0].from_value, threads.integer_range[0].to_value) == (0, 256)
        assert node.describe_parameter("autostart").read_only
        assert "auto, cpu, cuda" in node.describe_parameter("device").additional_constraints


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("device", "gpu", ["'device'", "'gpu'", "auto, cpu, cuda"]),
        ("device", 1, ["'device'", "int 1"]),
        ("torch_threads", -1, ["'torch_threads'", "-1", "from 0 to 256"]),
        ("torch_threads", 1.0, ["'torch_threads'", "float 1.0", "integer"]),
        ("diagnostics_period", float("nan"), ["'diagnostics_period'", "nan", "0.05 to 60"]),
        ("diagnostics_period", 1, ["'diagnostics_period'", "write 1.0"]),
        ("publish_initialpose", True, ["'publish_initialpose'", "bool True", "off, once, on_relocalize"]),
        ("tf_mode", False, ["'tf_mode'", "bool False", "none, map_to_camera"]),
        ("autostart", "yes", ["'autostart'", "'yes'", "any bool"]),
        ("modle", "/a", ["'modle'", "unknown", "'model'"]),
        ("foo.bar", 3, ["'foo.bar'", "unknown", "tf_mode"]),
    ],
)
def test_n30_bad_overrides_are_refused_at_start(name: str, value: object, words: list[str]) -> None:
    with node_with(**{name: value}) as node, pytest.raises(UserError) as caught:
        parameters.declare(node)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_n30_the_bool_that_yaml_reads_in_a_bare_off_or_on_is_the_word() -> None:
    with node_with(publish_initialpose=False, refine=True) as node:
        parameters.declare(node)
        assert parameters.read(node) == Parameters(publish_initialpose="off", refine="on")


def test_n30_all_faults_are_named_at_once() -> None:
    with node_with(device="gpu", tf_mode="all") as node, pytest.raises(UserError, match=r"(?s)device.*tf_mode"):
        parameters.declare(node)


def test_ros_own_parameters_are_no_strangers() -> None:
    overrides = {"use_sim_time": True, "qos_overrides./tf.publisher.depth": 10}
    with node_with(**overrides) as node:
        parameters.declare(node)
        assert node.get_parameter("use_sim_time").value is True


def test_n30_changes_at_run_time_are_checked_together() -> None:
    good = Parameter("device", value="cpu")
    assert check_change([good], unconfigured=True).successful
    late = check_change([good], unconfigured=False)
    assert not late.successful and "unconfigured" in late.reason
    assert check_change([Parameter("diagnostics_period", value=2.0)], unconfigured=False).successful
    assert check_change([Parameter("use_sim_time", value=True)], unconfigured=False).successful


def change(node: Node, **values: object) -> str:
    """The reason that the node's own services give for a change: '' where it is taken."""
    changes = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    at_once = SetParametersAtomically.Request(parameters=changes)
    service = node._parameter_service
    reason = service._set_parameters_atomically_callback(at_once, SetParametersAtomically.Response()).result.reason
    one_by_one = service._set_parameters_callback(SetParameters.Request(parameters=changes), SetParameters.Response())
    assert (reason == "") == all(result.successful for result in one_by_one.results)
    return reason


def test_n30_at_run_time_the_reasons_are_those_of_the_start() -> None:
    with node_with() as node:
        parameters.declare(node)
        reason = change(node, modle="/a", tf_mode="all", torch_threads="x", device="cpu")
        assert reason == (
            "parameter 'modle' (value '/a') is unknown; did you mean 'model'?; parameter 'tf_mode' is 'all'; allowed "
            "is none, map_to_camera, map_to_base, map_to_odom; parameter 'torch_threads' is the str 'x'; allowed is "
            "integer from 0 to 256"
        )
        assert change(node, **{"foo.bar": 3}).startswith("parameter 'foo.bar' (value 3) is unknown; known are model, ")
        assert "is unknown" in change(node, **{"qos_overrides./tf.publisher.depth": 10})  # read at start alone
        assert parameters.read(node) == Parameters(device="cpu")  # set alone, it was good
        assert change(node, use_sim_time=True, publish_initialpose=False) == ""
