"""The paper's Figure 2: errors of pose regressors per scene, the image-retrieval baseline as the bar to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from transposenet_core.atomic_files import write_atomically

OURS, BASELINE = "#c1272d", "black"
GROUP_WIDTH = 0.86  # of the distance between two scenes


def draw_errors(
    path: Path, title: str, scenes: Sequence[str], errors: Mapping[str, np.ndarray], baseline: str, ours: str
) -> None:
    """Write a PNG with a group of bars per scene. `errors` maps a method to (scenes, 2): metres, degrees."""
    figure = Figure(figsize=(max(8.5, 2.2 * len(scenes) + 2), 8.5), dpi=110, layout="constrained")
    figure.suptitle(title)
    rows: Any = figure.subplots(2, 1)
    labels = ("(a) median position error [m]", "(b) median orientation error [deg]")
    methods = {name: values for name, values in errors.items() if name != baseline}
    for column, (axes, label) in enumerate(zip(rows, labels, strict=True)):
        _draw_panel(axes, {name: v[:, column] for name, v in methods.items()}, errors[baseline][:, column], ours)
        axes.set_ylabel(label)
        axes.set_xticks(range(len(scenes)), scenes)
    axes.plot([], c=BASELINE, lw=2, label=baseline)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    with write_atomically(path) as temporary:
        figure.savefig(temporary)


def _draw_panel(axes: Any, values: Mapping[str, np.ndarray], baseline_N: np.ndarray, ours: str) -> None:
    places_N, width = np.arange(len(baseline_N)), GROUP_WIDTH / len(values)
    others = [name for name in values if name != ours]
    shades = dict(zip(others, colormaps["YlGnBu"](np.linspace(0.2, 0.9, len(others))), strict=True))
    for number, (name, values_N) in enumerate(values.items()):
        left_N = places_N - GROUP_WIDTH / 2 + number * width
        axes.bar(left_N, values_N, width, align="edge", color=shades.get(name, OURS), label=name, zorder=2)
    ends = (places_N - GROUP_WIDTH / 2 - 0.02, places_N + GROUP_WIDTH / 2 + 0.02)
    axes.hlines(baseline_N, *ends, colors=BASELINE, lw=2, zorder=3)
    axes.set_xlim(-0.5, len(baseline_N) - 0.5)
    axes.grid(axis="y", alpha=0.3, zorder=0)
