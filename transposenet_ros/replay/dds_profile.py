"""The Fast DDS profile that takes pictures through shared memory. Only their publisher's process needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from transposenet_core.errors import UserError

VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
FILE = Path("config") / "fastdds_shm.xml"


def profile_path() -> Path:
    """The profile of the source tree or of the installation. UserError where neither has it."""
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    installed = [Path(prefix) / "share" / "transposenet_ros" / FILE for prefix in prefixes]
    for path in [Path(__file__).resolve().parents[2] / FILE, *installed]:
        if path.is_file():
            return path
    raise UserError(f"{FILE} is neither in the source tree nor in {installed[0].parents[1]}; install the package again")


def publisher_environment() -> dict[str, str]:
    """What to add to the environment of a process that publishes pictures, before it starts.

    Empty where the user has a profile of their own: theirs wins.
    """
    return {} if os.environ.get(VARIABLE) else {VARIABLE: str(profile_path())}
