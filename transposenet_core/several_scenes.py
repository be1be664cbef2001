"""`--data` given several times: each a scene with a name and a map frame of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.scene import Scene
from transposenet_core.scene_units import in_metres

OWN_SPLIT = "own"


def load_scenes(
    data: Sequence[str],
    splits: Sequence[str],
    names: Sequence[str],
    skip_bad: bool = False,
    *,
    scales: Sequence[str] = (),
    aligns: Sequence[str] = (),
    load: Callable[[str, str | None, bool], Scene] = load_scene,
) -> list[Scene]:
    """The scenes that `data` names, each with its split, name, scale and alignment (see `in_metres`); these lists may
    be empty. `load` reads one, as `load_scene` does.

    Of several, each has a map frame of its own: one that more than one data set has becomes NAME_map. UserError where
    there are not as many splits, names and so on as scenes, or two scenes have the same name; otherwise as of
    `load_scene` and `in_metres`.
    """
    for option, given in (("--split", splits), ("--name", names), ("--scale", scales), ("--align", aligns)):
        if given and len(given) != len(data):
            hint = f"; '{OWN_SPLIT}' is the data set's own split" if option == "--split" else ""
            hint = "; '' leaves the scene as it is" if option in ("--scale", "--align") else hint
            raise UserError(
                f"--data is given {len(data)} times and {option} {len(given)} times; give it once for each, "
                f"in the same order, or not at all{hint}"
            )
    chosen = [None if split == OWN_SPLIT else split for split in splits] or [None] * len(data)
    scenes = [load(source, split, skip_bad) for source, split in zip(data, chosen, strict=True)]
    scenes = [replace(scene, name=name) for scene, name in zip(scenes, names, strict=True)] if names else scenes
    twice = [name for name, count in Counter(scene.name for scene in scenes).items() if count > 1]
    if twice:
        raise UserError(f"two scenes are called '{twice[0]}'; name each with --name, in the order of --data")
    per_scene = zip(scenes, scales or [""] * len(scenes), aligns or [""] * len(scenes), strict=True)
    scenes = [in_metres(scene, scale, align) for scene, scale, align in per_scene]
    frames = Counter(scene.map_frame for scene in scenes)
    return [replace(s, map_frame=_frame(s.name)) if frames[s.map_frame] > 1 else s for s in scenes]


def split_name(splits: Sequence[str], number: int) -> str:
    """How a scene model describes the split of scene `number`."""
    split = splits[number] if splits else OWN_SPLIT
    return "the data set's own" if split == OWN_SPLIT else Path(split).name


def _frame(name: str) -> str:
    return re.sub(r"\W", "_", name) + "_map"
