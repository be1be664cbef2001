"""Presets load, overrides apply with their types, and every mistake names the nearest right key."""

from pathlib import Path

import pytest

from transposenet_core.errors import UserError
from transposenet_core.models import default_options, describe_option, model_names
from transposenet_core.training.checkpoint import difference
from transposenet_core.training.config import HeadsConfig, ModelConfig, TrainConfig, leaves
from transposenet_core.training.config_reading import describe_keys, load_config
from transposenet_core.training.optimization import rate_factor

PRESETS = sorted((Path(__file__).resolve().parents[3] / "config" / "train").glob("*.yaml"))


def preset(name: str) -> Path:
    return next(path for path in PRESETS if path.stem == name)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.stem)
def test_presets_are_valid(preset: Path) -> None:
    assert load_config(preset).epochs > 0


def test_the_papers_presets_are_section_4() -> None:
    options = {"dropout": 0.1, "attention_dropout": 0.1}
    indoor, outdoor = (load_config(preset(f"transposenet_{place}")) for place in ("indoor", "outdoor"))
    assert indoor == TrainConfig(ModelConfig(options=options), heads=HeadsConfig(epochs=100))
    # "initialize s_x and s_q to -3 and -6.5", 600 epochs, a tenth of the rate every 200, position as a prior.
    assert (outdoor.loss.s_position, outdoor.loss.s_orientation) == (-3.0, -6.5)
    assert (outdoor.epochs, outdoor.schedule.step_epochs, outdoor.heads.position_prior) == (600, 200, True)
    changed = difference(indoor.to_dict(), outdoor.to_dict())
    groups = {phrase.split()[0].split(".")[0] for phrase in changed}
    assert groups == {"loss", "epochs", "schedule", "heads"}


def test_help_documents_every_key_and_option() -> None:
    text = describe_keys()
    for name, value, info in leaves(TrainConfig()):
        assert f"  {name}=" in text and info.meaning and info.source, name
        assert value is not None
    for model in model_names():
        assert f"model.options of {model}:" in text
        for option in default_options(model):
            assert len(describe_option(model, option)) > 10, option


def test_overrides_are_typed() -> None:
    config = load_config(None, ["optimizer.learning_rate=2e-3", "epochs=7", "model.options.layers=2", "device=cpu"])
    assert (config.optimizer.learning_rate, config.epochs, config.model.options["layers"]) == (2e-3, 7, 2)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.learing_rate=1", "unknown key 'optimizer.learing_rate'; did you mean 'optimizer.learning_rate'"),
        ("epoch=3", "did you mean 'epochs'"),
        ("epochs=many", "'epochs' is 'many', a value of type int is needed"),
        ("epochs=true", "'epochs' is True"),
        ("epochs=-1", "epochs is -1, allowed is a finite value at least 0"),
        ("schedule.kind=exp", "allowed are step, cosine"),
        ("epochs", "write key=value"),
        ("optimizer=3", "'optimizer' is a group of keys"),
        ("augmentation.colour_jitter=2.0", "allowed is a finite value at least 0 and at most 1"),
        ("optimizer.learning_rate=.nan", "is nan, allowed is a finite value above 0"),
        ("epochs=[", "not valid YAML"),
        ("schedule.step_epochs=0", "schedule.step_epochs is 0, allowed is a finite value at least 1"),
        ("optimizer.weight_decay=-1.0", "optimizer.weight_decay is -1.0, allowed is a finite value at least 0"),
        ("optimizer.learning_rate=.inf", "is inf, allowed is a finite value above 0"),
    ],
)
def test_t11_a_mistake_is_named(override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_config(None, [override])


def test_t11_a_broken_file_is_named(tmp_path: Path) -> None:
    for text, sentence in (
        ("- a", "found a list"),
        ("a: [", "cannot be read"),
        ("eppochs: 3", "did you mean 'epochs'"),
    ):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(UserError, match=sentence):
            load_config(tmp_path / "c.yaml")


def test_schedules() -> None:
    step = load_config(None, ["schedule.step_epochs=100"]).schedule
    assert [rate_factor(e, 300, step) for e in (0, 99.9, 100, 250)] == pytest.approx([1, 1, 0.1, 0.01])
    cosine = load_config(None, ["schedule.kind=cosine", "schedule.warmup_epochs=2"]).schedule
    assert [rate_factor(e, 12, cosine) for e in (1, 2, 7, 12)] == pytest.approx([0.5, 1, 0.5, 0], abs=1e-3)


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("epochs: 3\nmodel:\n  name: posenet\nepochs: 4\n")
    with pytest.raises(UserError, match="key 'epochs' appears a second time in line 4"):
        load_config(tmp_path / "twice.yaml")


def test_view_completion_needs_moved_views() -> None:
    with pytest.raises(UserError, match="augmentation.view_completion is 1, but no view is rotated or translated"):
        load_config(None, ["augmentation.view_completion=1"])
    assert load_config(None, ["augmentation.view_completion=1", "augmentation.virtual_translation=0.1"])
