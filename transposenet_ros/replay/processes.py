"""The two processes of a live evaluation, localizer and replayer, in a ROS domain of their own."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from transposenet_core.errors import UserError
from transposenet_ros.replay.dds_profile import publisher_environment
from transposenet_ros.replay.protocol import ReplayJob, ReplayRecord

# Above these the ports of DDS reach into the range that Linux uses for outgoing connections.
DOMAINS = range(1, 100)
STOP_SECONDS = 10.0


@contextmanager
def free_domain() -> Iterator[int]:
    """A ROS domain that no other evaluation or test of this machine uses while the block runs."""
    folder = Path(tempfile.gettempdir())
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        with ExitStack() as stack:
            try:
                # Another user's file cannot be opened, and its domain may be in use: on to the next.
                lock = stack.enter_context(open(folder / f"transposenet_ros_domain_{domain}.lock", "a"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield domain
            return
    raise UserError(
        f"all ROS domains from {DOMAINS[0]} to {DOMAINS[-1]} are in use here; wait for an evaluation to end"
    )


def ros_environment(domain: int | None, **extra: str) -> dict[str, str]:
    """The environment of a ROS process of ours; with a `domain` it talks to this machine alone."""
    environment = {**os.environ, **extra, "PYTHONUNBUFFERED": "1"}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    # The wheels' bootstrap is per interpreter: the child decides again whether it has to restart itself.
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    environment.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    if "ROS_DISTRO" not in environment:  # no ROS is sourced: the wheels have Fast DDS alone
        environment.pop("RMW_IMPLEMENTATION", None)
    if domain is not None:
        environment |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return environment


@contextmanager
def localizer_process(
    node: str, remaps: dict[str, str], parameters: dict[str, object], domain: int, folder: Path, log: IO[bytes]
) -> Iterator[subprocess.Popen]:
    """The localizer as the fully qualified `node`, its output in `log`; stopped when the block ends."""
    namespace, name = node.rsplit("/", 1)
    # A file, because ROS would read a value on the command line as YAML: a model named 7 would become a number.
    file = folder / "localizer.yaml"
    file.write_text(json.dumps({"/**": {"ros__parameters": parameters}}))
    rules = {"__node": name, "__ns": namespace or "/", **remaps}
    listed = [item for rule in rules.items() for item in ("-r", ":=".join(rule))]
    command = [
        sys.executable,
        "-m",
        "transposenet_ros.localizer_node",
        "--ros-args",
        "--params-file",
        str(file),
        *listed,
    ]
    process = subprocess.Popen(command, env=ros_environment(domain), stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        _stop(process, signal.SIGINT)


def run_replayer(
    job: ReplayJob, domain: int | None, folder: Path, localizer: subprocess.Popen | None, log: Path
) -> ReplayRecord:
    """Run the replayer to its end and return what it recorded. UserError where it or the localizer fails."""
    job_file, result_file = folder / "job.json", folder / "record.json"
    job_file.write_text(json.dumps(asdict(job)))
    command = [sys.executable, "-m", "transposenet_ros.replay.replayer", str(job_file), str(result_file)]
    process = subprocess.Popen(command, env=ros_environment(domain, **publisher_environment()))
    try:
        while process.poll() is None:
            if localizer is not None and localizer.poll() is not None:
                raise UserError(f"the localizer ended with exit code {localizer.returncode}: {last_words(log)}")
            time.sleep(0.02)
    finally:
        _stop(process, signal.SIGTERM)
    if not result_file.exists():
        raise RuntimeError(f"the replayer ended with exit code {process.returncode} and left no result")
    result = json.loads(result_file.read_text())
    if "error" in result:
        raise UserError(result["error"])
    return ReplayRecord.from_dict(result)


def last_words(log: Path) -> str:
    """The last line of a process's output, or that there is none."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it printed nothing"


def _stop(process: subprocess.Popen, number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
