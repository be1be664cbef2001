"""The pages of docs/: links lead somewhere, and every image names what it was made by."""

import re
from pathlib import Path

import pytest
from training_runs import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub names them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "benchmarks" / "results" / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if ":" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


def test_results_lists_every_experiment() -> None:
    text = (DOCS / "results.md").read_text()
    index = set(re.findall(r"^\| \[[^]]+\]\(experiments/([\w-]+\.md)\) \|", text, flags=re.M))
    assert index == {page.name for page in (DOCS / "experiments").glob("*.md")}
