"""The Fast DDS profile that takes images through shared memory. Only their publisher's process needs it."""

from __future__ import annotations

import os
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.shared_files import shared_places

VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
FILE = Path("config") / "fastdds_shm.xml"


def profile_path() -> Path:
    """The profile of the source tree or of the installation. UserError where neither has it."""
    places = shared_places(FILE)
    for path in places:
        if path.is_file():
            return path
    raise UserError(f"{FILE} is neither in the source tree nor in {places[1].parents[1]}; install the package again")


def publisher_environment() -> dict[str, str]:
    """What to add to the environment of a process that publishes images, before it starts.

    Empty where the user has a profile of their own: theirs wins.
    """
    return {} if os.environ.get(VARIABLE) else {VARIABLE: str(profile_path())}
