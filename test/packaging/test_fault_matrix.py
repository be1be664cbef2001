"""The rows of docs/fault-matrix.md and the tests and comments that cite them agree."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fault-matrix.md"
NAME = re.compile(r"test_((?:[a-z]\d\d_)+)")
COMMENT = re.compile(r"fault matrix, ((?:[A-Z]\d+(?:, )?)+)", re.IGNORECASE)
BARE = re.compile(r"(?<![\w/-])[NTE][1-9]\d?(?![\w/-])")


def rows_of(page: str) -> list[str]:
    """N1, N2, ... as the first cells of a page's tables name them."""
    return re.findall(r"^\| ([A-Z]\d+) \|", page, re.MULTILINE)


def rows_of_names(source: str) -> set[str]:
    """The rows in the names of a module's tests: test_n07_n11_what is N7 and N11."""
    names = (node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    cited = "".join(match[1] for name in names if (match := NAME.match(name)))
    return {f"{letter.upper()}{int(number)}" for letter, number in re.findall(r"([a-z])(\d\d)_", cited)}


def rows_of_comments(source: str) -> set[str]:
    """The rows that a text cites as "fault matrix, N1, N2"."""
    return {row for cited in COMMENT.findall(source) for row in re.findall(r"[A-Z]\d+", cited)}


def problems(page: str, tests: dict[str, str], texts: dict[str, str]) -> list[str]:
    """What does not agree between a page, the sources of the tests and all texts, both by file name."""
    rows = rows_of(page)
    named = {file: rows_of_names(source) for file, source in tests.items()}
    cited = [*named.items(), *((file, rows_of_comments(text)) for file, text in texts.items())]
    found = [f"{row} is in the page twice" for row in sorted({row for row in rows if rows.count(row) > 1})]
    found += [f"{file} cites {row}, which is not in the page" for file, its in cited for row in sorted(its - {*rows})]
    found += [f"{row} has no test" for row in rows if row not in set().union(*named.values())]
    for file, text in texts.items():
        bare = {*BARE.findall(COMMENT.sub("", text))}
        found += [f"{file} cites {row} without the words 'fault matrix'" for row in sorted(bare)]
    return found


def test_rows_tests_and_comments_agree() -> None:
    tests = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.glob("test/**/test_*.py"))}
    sources = [
        path for folder in ("transposenet_core", "transposenet_ros", "test") for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(sources) if path != Path(__file__)}
    assert problems(PAGE.read_text(), tests, texts) == []


def test_a_disagreement_is_found() -> None:
    page = "| row | fault |\n|---|---|\n| N1 | a |\n| N2 | b |\n| N2 | c |\n"
    tests = {"test_x.py": "def test_n01_t03_one() -> None: ...\ndef test_n_other() -> None: ...\n"}
    texts = {"x.py": "LIMIT = 5  # fault matrix, N1, T9\n# and N2\n"}
    assert problems(page, tests, texts) == [
        "N2 is in the page twice",
        "test_x.py cites T3, which is not in the page",
        "x.py cites T9, which is not in the page",
        "N2 has no test",
        "N2 has no test",
        "x.py cites N2 without the words 'fault matrix'",
    ]
    assert problems("| N1 | a |\n| N2 | b |\n", {"test_x.py": "def test_n01_n02_two() -> None: ..."}, {}) == []
