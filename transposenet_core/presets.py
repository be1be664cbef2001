"""Training presets by name: the YAML files of config/train, in a source tree or in an installation."""

from __future__ import annotations

from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.shared_files import shared_places
from transposenet_core.suggestions import did_you_mean

FOLDER = Path("config") / "train"


def preset_folder() -> Path:
    """The folder of the presets. UserError where it is not found."""
    places = shared_places(FOLDER)
    for place in places:
        if place.is_dir():
            return place
    raise UserError(
        f"no presets: {FOLDER} is neither in the source tree nor in {places[1].parents[1]}; install the package again"
    )


def preset_names() -> list[str]:
    """All presets, sorted. UserError as in `preset_folder`."""
    return sorted(path.stem for path in preset_folder().glob("*.yaml"))


def preset_path(name: str) -> Path:
    """The file that ``--config`` names: a path, or a preset with or without .yaml. UserError where there is none."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    known = preset_names()
    if name in known or name in (f"{preset}.yaml" for preset in known):
        return preset_folder() / f"{path.stem}.yaml"
    raise UserError(
        f"--config {name}: neither a file nor a preset{did_you_mean(path.stem, known) or ';'} "
        f"the presets are {', '.join(known)}"
    )
