"""The training configuration: dataclasses are the schema, YAML presets fill it, `key=value` overrides it."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from transposenet_core.errors import UserError


@dataclass
class ModelConfig:
    name: str = "transposenet"
    options: dict = field(default_factory=dict)  # of build_model(name, ...); image_size comes from `picture`


@dataclass
class PictureConfig:
    smaller_edge: int = 256
    height: int = 224
    width: int = 224


@dataclass
class AugmentationConfig:
    random_crop: bool = True
    colour_jitter: float = 0.5


@dataclass
class LossConfig:
    s_position: float = 0.0
    s_orientation: float = -3.0


@dataclass
class OptimizerConfig:
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    eps: float = 1e-10


@dataclass
class ScheduleConfig:
    kind: str = "step"
    step_epochs: int = 100
    step_factor: float = 0.1
    warmup_epochs: float = 0.0


@dataclass
class TrainConfig:
    """Everything a training run depends on; the defaults are the paper's indoor stage 1 (section 4)."""

    model: ModelConfig = field(default_factory=ModelConfig)
    picture: PictureConfig = field(default_factory=PictureConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    epochs: int = 300
    batch_size: int = 8
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    validate_every: int = 5
    half_precision_weights: bool = False

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


ALLOWED = {"schedule.kind": ("step", "cosine"), "device": ("auto", "cpu", "cuda"), "precision": ("float32", "bfloat16")}
POSITIVE = (
    *("epochs", "batch_size", "validate_every", "schedule.step_epochs"),
    *("picture.smaller_edge", "picture.height", "picture.width"),
)


def load_config(path: str | Path | None, overrides: typing.Sequence[str] = ()) -> TrainConfig:
    """The configuration of a YAML preset with `a.b=value` overrides on top. UserError for every fault in either."""
    config = TrainConfig()
    if path is not None:
        _merge(config, _read_yaml(Path(path)), str(path))
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise UserError(f"'{override}' is no override: write key=value, for example epochs=50")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UserError(f"'{override}': the value is not valid YAML; write for example {key}=1e-4") from None
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(config, value, f"override {key}")
    _check(config)
    return config


def _read_yaml(path: Path) -> dict:
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: the configuration cannot be read ({error}); presets lie in config/train") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a {type(content).__name__} found, a configuration is a mapping of keys to values")
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


def _lookup(config: TrainConfig, dotted: str) -> typing.Any:
    value: typing.Any = config
    for part in dotted.split("."):
        value = getattr(value, part)
    return value


def _check(config: TrainConfig) -> None:
    for key, allowed in ALLOWED.items():
        if _lookup(config, key) not in allowed:
            raise UserError(f"{key} is '{_lookup(config, key)}', allowed are {', '.join(allowed)}")
    for key in POSITIVE:
        if _lookup(config, key) < 1:
            raise UserError(f"{key} is {_lookup(config, key)}, at least 1 is needed")
    if not 0 <= config.augmentation.colour_jitter <= 1:
        raise UserError(f"augmentation.colour_jitter is {config.augmentation.colour_jitter}, allowed is 0 to 1")
    for key in ("learning_rate", "eps"):
        value = getattr(config.optimizer, key)
        if not 0 < value < math.inf:
            raise UserError(f"optimizer.{key} is {value}, it must be finite and above 0")
    if not 0 <= config.optimizer.weight_decay < math.inf:
        raise UserError(f"optimizer.weight_decay is {config.optimizer.weight_decay}, it must be finite and at least 0")
