"""The pages of results: images name what they were made from, published figures are right."""

import re

from training_runs import ROOT

from benchmarks.paper_tables import Paper

DOCS = ROOT / "docs"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


def test_results_lists_every_experiment() -> None:
    text = (DOCS / "results.md").read_text()
    index = set(re.findall(r"^\| \[[^]]+\]\(experiments/([\w-]+\.md)\) \|", text, flags=re.MULTILINE))
    assert index == {page.name for page in (DOCS / "experiments").glob("*.md")}


def test_every_image_names_the_script_and_the_data_it_was_made_from() -> None:
    rows = re.findall(r"^\| \[([^]]+)\]\(([^)]+)\) \| (.+) \| (.+) \|$", (DOCS / "images.md").read_text(), re.MULTILINE)
    for name, link, made_by, data in rows:
        assert name == link and data.strip()
        scripts = re.findall(r"python ((?:demo|training|benchmarks)/\w+\.py)", made_by)
        assert scripts and all((ROOT / script).is_file() for script in scripts), f"{name}: {made_by}"
    images = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*") if path.suffix in IMAGE_SUFFIXES}
    assert sorted(name for name, *_ in rows) == sorted(images)


def test_the_published_figures_are_those_of_the_kept_tables() -> None:
    text = (DOCS / "reproduce.md").read_text()
    for number, table in Paper.read().tables.items():
        assert f"| {' | '.join(table.columns)} |" in text
        for name in table.rows if int(number) > 4 else ("PoseNet [16]", "TransPoseNet (paper)"):
            assert f"| {' | '.join([name, *table.rows[name]])} |" in text
