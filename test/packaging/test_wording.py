"""The words of docs/glossary.md: identifiers, configuration keys and a fixed list of phrases in code and pages."""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from transposenet_core.training.config import TrainConfig, leaves

ROOT = Path(__file__).resolve().parents[2]
EXEMPT = {"docs/glossary.md", "CHANGELOG.md", "test/packaging/test_wording.py"}
TEXTS = (".py", ".md", ".yaml", ".xml", ".toml", ".cfg")

# Words of which no name is made; the glossary has the word to use. The names of tests are sentences: see PHRASES.
WORDS = {
    *("picture", "pictures", "truths", "judge", "judged", "judges", "judging", "chance", "draws", "eyes", "honesty"),
    *("fallen", "companions", "trunk", "trunks", "turn", "turns", "turned", "turning"),
    *("said", "told", "answer", "answers", "answered"),
}
# `truth` stands in `ground_truth` alone.
LONE_TRUTH = re.compile(r"(?<!ground_)truth", re.IGNORECASE)

PHRASES = [
    r"pictures?",
    r"look-?ups? (table|of|by) thumbnails?|thumbnail look-?ups?|look-up",
    r"(learnt |learns? |learned )?by heart",
    r"(?<!ground )(?<!ground-)truths?",
    r"by chance|(all|within|draws|left to) chance",
    r"judge[sd]?|judging|judgement",
    r"companions?",
    r"honesty",
    r"stated error",
    r"virtual turns?",
    r"(is|are|was|were|be|been|gets?) told",
    r"(is|are|was|were|be|been|as|has|have) said",
    r"(as|what|if) you (say|said)|you said",
    r"(network|model|head|heads|decoder|regressor|localizer|node|robot|baseline|function)('s|s')? answers?",
    r"late comers?|forms no bond|fallen back to eyes",
    r"(camera|image|view|views|images) (is |are )?turned",
    r"turn and shift|turned and (moved|shifted)|turned or moved|neither turned nor moved",
]


def files(*endings: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if name.endswith(endings) and name not in EXEMPT]


def wrong_part(name: str) -> str | None:
    """The part of an identifier or key that the glossary has another word for."""
    parts = [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    return next((p for p in parts if p in WORDS), None) or (LONE_TRUTH.search(name) and "truth") or None


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and not token.string.startswith("test_"):
            yield token.start[0], token.string


def phrases(text: str) -> Iterator[tuple[int, str]]:
    """Line and phrase; a phrase may be broken at the end of a line, and names of tests are read as sentences."""
    plain = re.sub(r"\btest_\w+", lambda name: name[0].replace("_", " "), text)
    plain = re.sub(r'[ \t]*\n[ \t]*(?:# ?|f?"|> )?', "\n", plain)
    listed = "|".join(PHRASES).replace(" ", r"\s")
    for found in re.finditer(rf"(?<![\w`./-])({listed})(?![\w-])", plain, re.IGNORECASE):
        yield plain.count("\n", 0, found.start()) + 1, found[0]


def test_identifiers_use_the_words_of_the_glossary() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in files(".py")
        for line, name in identifiers(path.read_text())
        if wrong_part(name)
    ]
    assert wrong == []


def test_configuration_keys_use_the_words_of_the_glossary() -> None:
    assert [key for key, _, _ in leaves(TrainConfig()) if wrong_part(key)] == []


def test_texts_have_none_of_the_listed_phrases() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {phrase}"
        for path in files(*TEXTS)
        for line, phrase in phrases(path.read_text())
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ["picture_HW3", "PictureConfig", "MOST_PICTURES", "truth", "T_truth_map", "turned_B4"])
def test_a_name_of_another_word_is_found(name: str) -> None:
    assert wrong_part(name)
    assert wrong_part("ground_truth_returned_image") is None


@pytest.mark.parametrize(
    "text", ["a picture", "the truth", "learnt\n    by heart", "# by\n# chance", "test_n07_it_is_told", "it was judged"]
)
def test_a_listed_phrase_is_found(text: str) -> None:
    assert list(phrases(text))
    assert not list(phrases("the ground truth of an image returned; `truth`"))
