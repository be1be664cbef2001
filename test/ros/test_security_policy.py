"""The SROS2 policy against the running node: every name it opens is allowed, and none is allowed that it never opens.

A name that is new to the node fails here: write it into config/sros2/localizer.policy.xml. One that only some parameter
opens needs that parameter in CONFIGURATIONS as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from live import ROOT, Client, Process, localizer_process, wait_until
from untrained import save_drawing

from transposenet_core.localizer import Localizer
from transposenet_ros.replay.processes import free_domain

POLICY = "config/sros2/localizer.policy.xml"
# Element, attribute and child of a rule, by what rclpy calls the same thing.
KINDS = {
    "publisher": ("topics", "publish", "topic"),
    "subscriber": ("topics", "subscribe", "topic"),
    "service": ("services", "reply", "service"),
    "client": ("services", "request", "service"),
}
# Together they open all that the node can open. Each runs in a namespace of its own, which tells ~, relative and
# absolute names apart.
CONFIGURATIONS: dict[str, dict[str, object]] = {
    "/raw": {},
    "/compressed": {"image_transport": "compressed", "use_sim_time": "true", "publish_initialpose": "once"},
}
SETTLED_SECONDS = 0.5

Names = dict[str, set[str]]


def allowed(namespace: str) -> Names:
    """The full names that the policy allows, by kind, were its profile for this namespace."""
    (profile,) = ElementTree.parse(ROOT / POLICY).iter("profile")

    def full(name: str) -> str:
        name = (name or "").strip()
        return name if name.startswith("/") else f"{namespace}/{name.replace('~', profile.attrib['node'], 1)}"

    return {
        kind: {full(e.text) for rule in profile.findall(rules) if rule.get(verb) == "ALLOW" for e in rule.findall(item)}
        for kind, (rules, verb, item) in KINDS.items()
    }


def as_written(name: str, namespace: str) -> str:
    """A full name in the policy's words."""
    inside = name.removeprefix(f"{namespace}/")
    return inside.replace("localizer/", "~/", 1) if inside.startswith("localizer/") else inside


def opened(client: Client, namespace: str) -> Names:
    """The names that the node in this namespace has, once they have not changed for a while."""

    def now() -> Names:
        node = client.node
        asked = {kind: getattr(node, f"get_{kind}_names_and_types_by_node") for kind in KINDS}
        return {kind: {name for name, _ in ask("localizer", namespace)} for kind, ask in asked.items()}

    def settled() -> Names | None:
        before = now()
        time.sleep(SETTLED_SECONDS)
        return before if before == now() else None

    client.wait_for_state("active", f"{namespace}/localizer")
    return wait_until(settled, f"{namespace}/localizer to open nothing more")


@dataclass(frozen=True)
class Running:
    processes: list[Process]
    seen: dict[str, Names]


@pytest.fixture(scope="module")
def running(localizer: Localizer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = save_drawing(tmp_path_factory.mktemp("models") / "drawing", localizer.scene_model)
    with free_domain() as domain, ExitStack() as stack:
        processes = [
            stack.enter_context(localizer_process(domain, folder, "-r", f"__ns:={namespace}", **parameters))
            for namespace, parameters in CONFIGURATIONS.items()
        ]
        client = stack.enter_context(Client(domain))
        yield Running(processes, {namespace: opened(client, namespace) for namespace in CONFIGURATIONS})


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_node_opens_is_allowed(running: Running, kind: str) -> None:
    rules, verb, item = KINDS[kind]
    for namespace, names in running.seen.items():
        missing = sorted(as_written(name, namespace) for name in names[kind] - allowed(namespace)[kind])
        lines = [f"<{item}>{name}</{item}>" for name in missing]
        assert not lines, (
            f"the node with parameters {CONFIGURATIONS[namespace]} opens names that it is not allowed; "
            f'add {lines} under <{rules} {verb}="ALLOW"> of {POLICY}, or leave them closed'
        )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_allowed_is_opened(running: Running, kind: str) -> None:
    never = [
        {as_written(name, namespace) for name in allowed(namespace)[kind] - names[kind]}
        for namespace, names in running.seen.items()
    ]
    unused = sorted(set.intersection(*never))
    assert not unused, (
        f"{POLICY} lets the node have the {kind} {unused}, which it opens in none of {list(CONFIGURATIONS.values())}; "
        "remove it there, or add the parameters that open it to CONFIGURATIONS of this test"
    )


def test_the_policy_denies_and_requests_nothing_else() -> None:
    """No wildcard, no action, no rule of another node: least permissions are a list."""
    root = ElementTree.parse(ROOT / POLICY).getroot()
    assert (root.tag, root.get("version")) == ("policy", "0.2.0")
    (profile,) = root.iter("profile")
    assert [enclave.get("path") for enclave in root.iter("enclave")] == ["/localizer"]
    attributes = [(rule.tag, *rule.attrib.items()) for rule in profile]
    assert {tag for tag, *_ in attributes} == {"topics", "services"}
    assert all(len(given) == 1 and given[0][1] == "ALLOW" for _, *given in attributes)
    names = [(*rule.attrib, e.text or "") for rule in profile for e in rule]
    assert names and not any("*" in name or "?" in name for *_, name in names)
    assert len(names) == len(set(names)), "a name stands twice"


def test_the_node_communicates_only_through_dds(running: Running) -> None:
    """DDS uses UDP and shared memory here: a TCP socket would be somebody's telemetry or download."""
    for process in running.processes:
        folder = Path(f"/proc/{process.pid}")
        sockets = {os.readlink(file) for file in (folder / "fd").iterdir()}
        tables = [(folder / "net" / name).read_text().splitlines()[1:] for name in ("udp", "tcp", "tcp6")]
        udp, *tcp = ([f"socket:[{line.split()[9]}]" for line in table] for table in tables)
        assert sockets & set(udp)
        assert not sockets & {name for table in tcp for name in table}
