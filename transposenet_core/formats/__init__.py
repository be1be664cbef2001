"""Data-set adapters: each reads files of one layout as a :class:`Scene`.

`--data FORMAT:PATH[,option=value ...]` names one, with - or _ in its name alike; where the format is left out, the
first adapter that recognises the path is used. An adapter is a module with the members of :class:`Adapter`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from transposenet_core.errors import UserError
from transposenet_core.formats import (
    cambridge,
    colmap,
    euroc,
    folder,
    label_csv,
    matrix_rows,
    nerfstudio,
    posenet_txt,
    seven_scenes,
    tum,
)
from transposenet_core.formats.camera_fitting import with_fitting_cameras
from transposenet_core.formats.declared_convention import PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import LABELS_ONLY, MISSING, MISSING_MEANING, SKIP
from transposenet_core.formats.splitting import SPLIT_METHODS, split_scene
from transposenet_core.scene import Scene


class Adapter(Protocol):
    """What a module of this package has."""

    NAME: str
    LAYOUT: str  # which files it reads, for --help
    CONVENTION: str  # which way the poses go, quaternion order, axes, units, for --help
    OPTIONS: dict[str, str]  # option -> what it means and allows, for --help

    def recognises(self, path: Path) -> bool: ...

    def pose_convention(self, options: dict[str, str], scene_name: str) -> PoseConvention:
        """The convention of the poses in the files, for the motion test of `dataset_check`."""
        ...

    def load(self, path: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
        """The scene at `path`, without the rows that `faults` has; UserError where nothing can be read."""
        ...


ADAPTERS: dict[str, Adapter] = {
    module.NAME: cast(Adapter, module)
    for module in (
        seven_scenes,
        cambridge,
        posenet_txt,
        label_csv,
        matrix_rows,
        folder,
        tum,
        euroc,
        nerfstudio,
        colmap,
    )
}
COMMON_OPTIONS = {MISSING: MISSING_MEANING}
OPTION = re.compile(r",(\w+)=([^,]*)$")


@dataclass(frozen=True)
class DataSource:
    """`--data` parsed: which adapter reads which path, with which options."""

    adapter: Adapter
    path: Path
    options: dict[str, str] = field(default_factory=dict)


def load_scene(data: str | Path, split: str | Path | None = None, skip_bad: bool = False) -> Scene:
    """The scene that `data` (``FORMAT:PATH[,option=value]``) names, split by the data set itself or by `split`.

    `split` is a file or one of SPLIT_METHODS, which splits all of the scene anew. Remarks go to stderr. Raises
    UserError where the format or an option is unknown, the path is missing, or the files have faults; with `skip_bad`
    rows with faults are left out where they are few.
    """
    if LABELS_ONLY in parse_source(data).options:
        raise UserError(f"--data {data}: labels without images can only be checked; leave {LABELS_ONLY} out")
    scene, faults = inspect_scene(data, split)
    return accepted(data, scene, faults, skip_bad)


def accepted(data: str | Path, scene: Scene, faults: Faults, skip_bad: bool) -> Scene:
    """A scene that was inspected, for use; remarks go to stderr. UserError where its faults are too many."""
    faults.raise_refused(data, len(scene.images), skip_bad)
    for remark in faults.remarks:
        print(remark, file=sys.stderr)
    if faults.refused:
        print(f"{data}: {len(faults.refused)} faulty rows left out, {len(scene.images)} used", file=sys.stderr)
    return scene


def inspect_scene(data: str | Path, split: str | Path | None = None, labels_only: bool = False) -> tuple[Scene, Faults]:
    """The same without an error for faulty rows: they are left out of the scene and listed.

    Intrinsics are scaled to images that were resized. With `labels_only` the images are not looked for. UserError where
    the format cannot do without them, or where the images cannot be those of their camera.
    """
    source = parse_source(data)
    options, faults = source.options, Faults(skip_missing=MISSING in source.options)
    if labels_only:
        if LABELS_ONLY not in source.adapter.OPTIONS:
            able = ", ".join(name for name, adapter in ADAPTERS.items() if LABELS_ONLY in adapter.OPTIONS)
            raise UserError(f"{data}: {source.adapter.NAME} finds its rows by the images; formats without: {able}")
        options = options | {LABELS_ONLY: "yes"}
    method = str(split) if str(split) in SPLIT_METHODS else None
    split_file = None if split is None or method else Path(split).expanduser()
    scene = with_fitting_cameras(source.adapter.load(source.path, split_file, options, faults), faults)
    faults.remark_on_missing(source.path, len(scene.images))
    return (split_scene(scene, method, faults) if method else scene), faults


def parse_source(data: str | Path) -> DataSource:
    """What `--data` means. Raises UserError."""
    text, options = str(data), {}
    while match := OPTION.search(text):
        options[match.group(1)] = match.group(2)
        text = text[: match.start()]
    name, separator, rest = text.partition(":")
    known, name = ", ".join(ADAPTERS), name.replace("-", "_")
    if separator and name in ADAPTERS:
        adapter, path = ADAPTERS[name], Path(rest).expanduser()
    else:
        path = Path(text).expanduser()
        if separator and not path.exists():
            raise UserError(f"--data {data}: the format '{name}' is unknown; known formats: {known}")
        found = [module for module in ADAPTERS.values() if module.recognises(path)]
        if not found:
            raise UserError(f"--data {data}: no known layout found there; write FORMAT:PATH with one of: {known}")
        adapter = found[0]
    if not path.exists():
        raise UserError(f"--data {data}: {path} does not exist; {adapter.NAME} reads {adapter.LAYOUT}")
    for option in options:
        if option not in {**adapter.OPTIONS, **COMMON_OPTIONS}:
            allowed = ", ".join({**adapter.OPTIONS, **COMMON_OPTIONS})
            raise UserError(f"--data {data}: {adapter.NAME} has no option '{option}'; its options: {allowed}")
    if (missing := options.get(MISSING, SKIP)) != SKIP:
        raise UserError(f"--data {data}: {MISSING}={missing}, allowed is {MISSING}={SKIP}; without it they are refused")
    return DataSource(adapter, path, options)


def describe_formats() -> str:
    """The formats and their options for ``--help``."""
    lines = []
    for name, module in ADAPTERS.items():
        lines.append(f"  {name}: {module.LAYOUT}; {module.CONVENTION}")
        lines += [f"    ,{option}=  {meaning}" for option, meaning in module.OPTIONS.items()]
    lines += ["  every format", *(f"    ,{option}=  {meaning}" for option, meaning in COMMON_OPTIONS.items())]
    return "\n".join(lines)
