"""Data-set adapters: each turns files of one layout into a :class:`Scene`.

`--data FORMAT:PATH` names one; where the format is left out, the first adapter that recognises the folder is taken.
An adapter is a module with ``NAME``, ``LAYOUT``, ``CONVENTION``, ``recognises(path)`` and ``load(path, split_file)``.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from transposenet_core.errors import UserError
from transposenet_core.formats import cambridge, seven_scenes
from transposenet_core.scene import Scene

ADAPTERS: dict[str, ModuleType] = {module.NAME: module for module in (seven_scenes, cambridge)}


def load_scene(data: str | Path, split: str | Path | None = None) -> Scene:
    """The scene that `data` (``FORMAT:PATH`` or a path) names, split as the data set says or as the file `split` does.

    Raises UserError where the format is unknown, the folder is missing or a file in it is wrong.
    """
    name, separator, rest = str(data).partition(":")
    if separator and name in ADAPTERS:
        adapter, path = ADAPTERS[name], Path(rest).expanduser()
    else:
        path = Path(data).expanduser()
        known = ", ".join(ADAPTERS)
        if separator and not path.exists():
            raise UserError(f"--data {data}: the format '{name}' is unknown; known formats: {known}")
        found = [module for module in ADAPTERS.values() if module.recognises(path)]
        if not found:
            raise UserError(f"--data {data}: no known layout recognised there; write FORMAT:PATH with one of: {known}")
        adapter = found[0]
    if not path.is_dir():
        raise UserError(f"--data {data}: {path} is not a folder; {adapter.NAME} reads {adapter.LAYOUT}")
    return adapter.load(path, None if split is None else Path(split).expanduser())


def describe_formats() -> str:
    """One line per format for ``--help``."""
    return "\n".join(f"  {name}: {module.LAYOUT}; {module.CONVENTION}" for name, module in ADAPTERS.items())
