"""The pages for users: the README stays short, links lead somewhere, and the commands shown are the same and exist."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from transposenet_core.commands.parser import CommandParser
from transposenet_ros.commands.table import load_command

ROOT = Path(__file__).resolve().parents[2]
README, OWN_DATA = ROOT / "README.md", ROOT / "docs" / "own-data.md"
PAGES = [README, *sorted(ROOT.glob("C*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "benchmarks").rglob("*.md"))
FIVE = ["bag-to-dataset", "check", "map", "train", "evaluate"]


def prose(text: str) -> str:
    """A page without its code, in which neither links nor headings are meant."""
    without_blocks = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()]", "", code[0]), without_blocks)


def links(text: str) -> list[str]:
    """The targets of a page's links and images, inline or below it as `[name]: target`."""
    return re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: *(\S+)", prose(text), re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What GitHub makes of a page's headings: lower case, no punctuation, hyphens for blanks, -1 for the second."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = 0
        while (name := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(name)
    return found


def broken(page: Path, text: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    lost = []
    for inline, named in links(text):
        target = inline or named
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        there = file.exists() and file.is_relative_to(ROOT)
        if not there or (
            anchor and (file.suffix != ".md" or anchor not in anchors(text if file == page else file.read_text()))
        ):
            lost.append(target)
    return lost


def commands(page: Path, heading: str) -> list[list[str]]:
    """The words of each line of the first block of code below a heading; a line that ends in \\ goes on."""
    _, found, below = f"\n{page.read_text()}".partition(f"\n{heading}\n")
    assert found, f"{page.name} has no heading '{heading}'"
    block = re.search(r"^```\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    assert block, f"{page.name}: no code below '{heading}'"
    return [shlex.split(line) for line in block[1].replace("\\\n", " ").splitlines()]


def test_the_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 120
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text()) == []


@pytest.mark.parametrize(
    "link", ["nowhere.md", "node.md#nowhere", "#nowhere", "../../outside", "demo.png#frames", "../README.md#frames"]
)
def test_the_search_for_broken_links_finds_it(link: str) -> None:
    page, text = ROOT / "docs" / "node.md", "# Node\n[this](node.md), [that](#node), "
    assert broken(page, f"{text}[other]({link})") == [link]
    assert broken(page, f"{text}[other]\n\n[other]: {link}\n") == [link]
    assert broken(page, f"{text}\n```\n[other]({link})\n```\n`[other]({link})`") == []


def test_anchors_are_those_that_github_makes() -> None:
    text = "# No pose comes: what to do\n## `a_b` and [c](d.md)\n## Same\n## Same\n```\n# a comment\n```\n"
    assert anchors(text) == {"no-pose-comes-what-to-do", "a_b-and-c", "same", "same-1"}


def test_the_five_commands_are_the_same_on_both_pages() -> None:
    readme = commands(README, "## Your own scene in five commands")
    assert [words[:2] for words in readme] == [[".venv/bin/transposenet", name] for name in FIVE]
    assert commands(OWN_DATA, "# Your own place") == readme


@pytest.mark.parametrize("number", range(5), ids=FIVE)
def test_the_programs_take_the_five_commands(number: int) -> None:
    _, name, *arguments = commands(README, "## Your own scene in five commands")[number]
    assert isinstance(CommandParser(load_command(name), name).parse(arguments), argparse.Namespace)
