"""Our results on a data set among the published ones: Tables 1 and 2, or 3 and 4, and Figure 2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import markdown
from benchmarks.error_figure import draw_errors
from benchmarks.paper_tables import Errors, Paper, disagreements, standings
from benchmarks.runs import write_json, write_text

RULE = (
    "Averages are means of the medians above, rounded half up; ranks are by each average and then by the sum of both, "
    "ties share the better rank. All are recomputed among the rows shown; the baseline is not ranked."
)


@dataclass(frozen=True)
class DataSet:
    """A data set of the paper: its format and preset, its tables there, its scenes' folders in the tables' order."""

    name: str
    preset: str
    errors_table: str
    averages_table: str
    scenes: tuple[str, ...]
    split_files: tuple[str, str]


@dataclass(frozen=True)
class Outcome:
    """Our method's name, how it was trained, its result per scene (see `runs`), and why the other scenes have none."""

    method: str
    setup: str
    results: dict[str, dict[str, Any]]
    missing: dict[str, str]


def publish(paper: Paper, data_set: DataSet, ours: Outcome, out: Path) -> str:
    """Write table.md, results.json and errors.png (of the scenes with a result). Returns the text of table.md."""
    text = tables_text(paper, data_set, ours)
    content = {"data_set": data_set.name, "method": ours.method, "setup": ours.setup}
    write_json(out / "results.json", content | {"scenes": ours.results, "missing": ours.missing})
    write_text(out / "table.md", text)
    scenes = [index for index, scene in enumerate(data_set.scenes) if scene in ours.results]
    published = paper.tables[data_set.errors_table]
    errors = {name: np.array([row[i] for i in scenes], float) for name, row in published.errors().items()}
    medians = [(result["median_m"], result["median_deg"]) for result in _in_order(data_set, ours)]
    errors[ours.method] = np.array([medians[i] for i in scenes], float)
    titles = [published.columns[1 + i] for i in scenes]
    draw_errors(out / "errors.png", published.title, titles, errors, paper.baseline, ours.method)
    return text


def _in_order(data_set: DataSet, ours: Outcome) -> list[dict[str, Any]]:
    """The results of all scenes in the tables' order, without figures where there is none."""
    nothing = {"median_m": None, "median_deg": None}
    return [ours.results.get(scene, nothing) for scene in data_set.scenes]


def tables_text(paper: Paper, data_set: DataSet, ours: Outcome) -> str:
    """Both tables as Markdown with our row, then the rule, the paper's inconsistencies, and how ours was obtained."""
    errors_table, averages_table = paper.tables[data_set.errors_table], paper.tables[data_set.averages_table]
    published = errors_table.errors()
    medians = [(result["median_m"], result["median_deg"]) for result in _in_order(data_set, ours)]
    row = [None if metres is None else Errors.rounded(metres, degrees) for metres, degrees in medians]
    rows = published | {ours.method: row}
    before, after = standings(published, paper.baseline), standings(rows, paper.baseline)
    cells = markdown.mark_best(rows)
    best = markdown.mark_best({name: [standing.average] for name, standing in after.items()})
    ranked = [
        [name, *best[name], *after[name].cells()[1:]] if name in after else [name, *markdown.ABSENT * 3]
        for name in rows
        if name != paper.baseline
    ]
    numbers = (
        f"Values of Table {data_set.averages_table} that differ from those computed from Table {data_set.errors_table}"
    )
    notes = [
        RULE,
        f"{numbers}: {'; '.join(disagreements(before, averages_table)) or 'none'}.",
        f"{ours.method}: {ours.setup}.",
        *(f"{scene}: {describe(result)}." for scene, result in ours.results.items()),
        *(f"{scene}: no result, {why}." for scene, why in ours.missing.items()),
    ]
    parts = [
        f"Table {data_set.errors_table}: {errors_table.title}",
        markdown.table(errors_table.columns, [[name, *row] for name, row in cells.items()]),
        f"Table {data_set.averages_table}: {averages_table.title}",
        markdown.table(averages_table.columns, ranked),
        "\n".join(f"- {note}" for note in notes),
    ]
    return "\n\n".join(parts) + "\n"


def describe(result: dict[str, Any]) -> str:
    """How a result was obtained, in one line."""
    heads = f" and {result['head_epochs']} per head" if result["head_epochs"] else ""
    chosen = "none held out to choose the checkpoint on"
    if result["chosen_on"]:
        chosen = (
            f"{result['chosen_on']} held out to choose the checkpoint on and {result['left_out']} around them unused"
        )
    return (
        f"trained on {result['trained_on']} frames ({result['epochs']} epochs{heads}), {chosen}, "
        f"evaluated on {result['count']} test frames"
    )
