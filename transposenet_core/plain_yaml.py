"""YAML texts of others: plain values of a bounded number, and one sentence for whatever is wrong with them."""

from __future__ import annotations

from typing import Any

import yaml

MOST_CHARACTERS, MOST_VALUES, DEEPEST = 2**16, 200_000, 50
MERGE = "tag:yaml.org,2002:merge"


class PlainLoader(yaml.SafeLoader):
    """SafeLoader without deep nesting, which takes it seconds, and without `<<`, by which ten lines make a billion."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"nested more than {DEEPEST} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == MERGE for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "the key << is not read; write its entries out")


def parsed_yaml(text: str, loader: type[PlainLoader] = PlainLoader, most_characters: int = MOST_CHARACTERS) -> Any:
    """The value of a YAML text. ValueError for what is none or too long, is nested deep, or stands for too many values
    by its aliases."""
    if len(text) > most_characters:
        raise ValueError(f"{len(text)} characters, at most {most_characters} are allowed")
    try:
        value = loader(text).get_single_data()
    except Exception as error:  # noqa: BLE001 - PyYAML raises whatever a malformed date, number or tag leads to
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
    _count(value, 0)
    return value


def _count(value: Any, depth: int) -> int:
    """How many values there are, one that several aliases stand for as often as they do. ValueError beyond bounds."""
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
    count = 1
    for each in inner:
        count += _count(each, depth + 1)
        if count > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
    return count
