"""The configuration from a YAML preset and `key=value` overrides, with errors that name the key; and its help."""

from __future__ import annotations

import dataclasses
import difflib
import math
import textwrap
import types
import typing
from pathlib import Path

import yaml

from transposenet_core.errors import UserError
from transposenet_core.models import default_options, describe_option, model_names
from transposenet_core.plain_yaml import PlainLoader, parsed_yaml
from transposenet_core.text_files import read_text
from transposenet_core.training.config import TINY, KeyInfo, TrainConfig, leaves


def load_config(path: str | Path | None, overrides: typing.Sequence[str] = ()) -> TrainConfig:
    """The configuration of a YAML preset with `a.b=value` overrides on top. UserError for any mistake in either."""
    config = TrainConfig()
    if path is not None:
        _merge(config, _read_yaml(Path(path)), str(path))
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise UserError(f"'{override}' is not an override; write key=value, for example epochs=50")
        try:
            value = parsed_yaml(text)
        except ValueError:
            raise UserError(f"'{override}': the value is not valid YAML; write for example {key}=1e-4") from None
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(config, value, f"override {key}")
    given = {override.partition("=")[0] for override in overrides}
    if given & {"image.height", "image.width"} and "image.match_aspect_ratio" not in given:
        config.image.match_aspect_ratio = False  # who asks for a window gets it
    _check(config)
    return config


class _EachKeyOnce(PlainLoader):
    """YAML forbids a key that appears twice, but PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                line = node.value[number][0].start_mark.line + 1
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' appears a second time in line {line}")
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict:
    try:
        content = parsed_yaml(read_text(path), _EachKeyOnce) or {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the configuration cannot be read ({error}); presets are in config/train") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: found a {type(content).__name__}, but a configuration is a mapping of keys to values")
    return content


def _merge(target: typing.Any, values: dict, where: str, prefix: str = "") -> None:
    hints = typing.get_type_hints(type(target))
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.5)
            hint = f"; did you mean '{prefix}{near[0]}'?" if near else f"; known keys: {', '.join(hints)}"
            raise UserError(f"{where}: unknown key '{name}'{hint}")
        current = getattr(target, key)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, dict):
                raise UserError(f"{where}: '{name}' is a group of keys, found {value!r}")
            _merge(current, value, where, f"{name}.")
        elif isinstance(current, dict) and isinstance(value, dict):
            current.update(value)
        else:
            setattr(target, key, _typed(value, hints[key], f"{where}: '{name}'"))


def _typed(value: object, kind: type | types.UnionType, what: str) -> object:
    if kind is float and isinstance(value, str):
        try:  # YAML 1.1 reads 1e-4 as text
            value = float(value)
        except ValueError:
            pass
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{what} is {value!r}, a value of type {getattr(kind, '__name__', kind)} is needed")
    return value


def _check(config: TrainConfig) -> None:
    for name, value, info in leaves(config):
        if info.allowed and value not in info.allowed:
            raise UserError(f"{name} is '{value}', allowed are {', '.join(info.allowed)}")
        if isinstance(value, (int, float)) and not (info.lowest <= value <= info.highest and math.isfinite(value)):
            raise UserError(f"{name} is {value}, allowed is a finite value {_range(info)}")
    if config.loss.neighbours > 0 and config.batch_size % 2:
        raise UserError(
            f"batch_size is {config.batch_size}, but loss.neighbours needs an even one: two neighbours share a batch"
        )
    augmentation = config.augmentation
    if augmentation.view_completion > 0 and not augmentation.moves():
        raise UserError(
            f"augmentation.view_completion is {augmentation.view_completion:g}, but no view is rotated or translated; "
            "set augmentation.virtual_rotation or relative_translation, or view_completion=0"
        )
    if augmentation.virtual_translation > 0 and augmentation.relative_translation > 0:
        raise UserError(
            f"augmentation.virtual_translation is {augmentation.virtual_translation:g} and relative_translation "
            f"{augmentation.relative_translation:g}, but the camera is translated by one of them; set the other to 0"
        )


def _range(info: KeyInfo) -> str:
    lowest = "above 0" if info.lowest == TINY else f"at least {info.lowest:g}"
    return lowest if info.highest == math.inf else f"{lowest} and at most {info.highest:g}"


def describe_keys() -> str:
    """Every key with its default, meaning, limits and source, and the options of every model, for `--help`."""
    lines = []
    for name, value, info in leaves(TrainConfig()):
        limits = f"; one of {', '.join(info.allowed)}" if info.allowed else ""
        limits = f"; {_range(info)}" if info.lowest > -math.inf else limits
        shown = "''" if value == "" else str(value).lower() if isinstance(value, bool) else value
        lines += _entry(f"{name}={shown}", f"{info.meaning}{limits} ({info.source})")
    for model in model_names():
        lines.append(f"model.options of {model}:")
        for name, default in default_options(model).items():
            lines += _entry(f"  {name}={default}", describe_option(model, name))
    return "\n".join(lines)


def _entry(head: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, 82)
    return [f"  {head:<36}{wrapped[0]}", *(f"{'':38}{line}" for line in wrapped[1:])]
