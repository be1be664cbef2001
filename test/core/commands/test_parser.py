"""What is typed: keys as options, options in any order, and one sentence for what is mistyped."""

import argparse
from types import SimpleNamespace

import pytest

from transposenet_core.commands import attention, check, convert, evaluate, localize, render, train
from transposenet_core.commands.overrides import FIRST_KEYS, key_options, options_to_overrides
from transposenet_core.commands.parser import CommandParser, narrowed, run_command
from transposenet_core.errors import UserError
from transposenet_core.training.config_reading import describe_keys, load_config

NEEDED = ["--config", "demo", "--data", "place", "--out", "model"]


def overrides(*typed: str) -> list[str]:
    return CommandParser(train, "train").parse([*NEEDED, *typed]).overrides


def test_keys_are_options_in_every_way_of_writing_them() -> None:
    assert overrides("epochs=3") == overrides("--epochs", "3") == overrides("--epochs=3") == ["epochs=3"]
    assert overrides("--optimizer.learning_rate", "1e-4", "--batch-size", "4", "seed=2") == [
        "optimizer.learning_rate=1e-4",
        "batch_size=4",
        "seed=2",
    ]
    assert overrides("--loss.s_position", "-3") == ["loss.s_position=-3"]
    assert overrides("--deterministic", "--hold-out", "false", "--skip-bad") == ["deterministic=true", "hold_out=false"]
    assert overrides("--model.options.layers", "1") == ["model.options.layers=1"]


def test_all_that_help_shows_of_the_keys_reaches_the_configuration() -> None:
    values = {"model.name": "posenet", "device": "cpu", "start_from": "m", "optimizer.learning_rate": "0.5"}
    typed = [word for key in FIRST_KEYS for word in (f"--{key}", values.get(key, "7"))]
    config = load_config(None, overrides(*typed))
    assert (config.model.name, config.device, config.start_from) == ("posenet", "cpu", "m")
    assert (config.optimizer.learning_rate, config.epochs, config.batch_size, config.seed) == (0.5, 7, 7, 7)
    assert (config.image.height, config.image.width, config.image.smaller_edge) == (7, 7, 7)


@pytest.mark.parametrize("typed", [["--epochs"], ["--epochs", "--seed", "1"]])
def test_a_key_without_its_value_is_one_sentence(typed: list[str]) -> None:
    with pytest.raises(UserError, match=r"^--epochs: its value is missing; write --epochs VALUE or epochs=VALUE$"):
        options_to_overrides(typed)


def test_no_option_of_the_training_is_a_key() -> None:
    own = {name for name in CommandParser(train, "train")._option_string_actions if name.startswith("--")}
    assert own & set(key_options()) == {f"--{key}" for key in FIRST_KEYS}


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (["--confg", "demo"], "unknown option '--confg'; did you mean '--config'? train --help lists the options"),
        (["--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),
        (["--optimizer.learnig_rate=1"], "did you mean '--optimizer.learning_rate'?"),
        (["--augmentation.gama", "1"], "did you mean '--augmentation.gamma'?"),
        (["--zzzzzz"], "unknown option '--zzzzzz'; train --help lists the options"),
        (["-z"], "unrecognized arguments: -z; train --help lists the options"),
        ([], "the following arguments are required: --config, --data, --out; train --help lists"),
    ],
)
def test_a_mistyped_option_is_one_sentence(wrong: list[str], hint: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(train, wrong if wrong in ([], ["--confg", "demo"]) else [*NEEDED, *wrong], "train")
    complaint = capsys.readouterr().err
    assert ended.value.code == 2
    assert complaint.startswith("error: ") and hint in complaint and complaint.count("\n") == 1


def test_positional_arguments_may_stand_anywhere() -> None:
    for typed in (["a.png", "b.png", "--model", "m"], ["--model", "m", "a.png", "b.png"]):
        args = CommandParser(localize, "localize").parse(typed)
        assert [str(path) for path in args.images] == ["a.png", "b.png"] and str(args.model) == "m"
    args = CommandParser(render, "render").parse(
        ["m", "--pose", *["0", "-1e-05", "-.5", "1", "0", "0", "0"], "--out", "x.png"]
    )
    assert args.pose == [0, -1e-05, -0.5, 1, 0, 0, 0] and str(args.model) == "m"


def test_defaults_are_shown_where_there_are_any(capsys: pytest.CaptureFixture) -> None:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rate", default=30.0, help="frames per second")
        parser.add_argument("--name", help="nothing to show")
        parser.add_argument("--said", default=2, help="default: two")

    command = SimpleNamespace(HELP="a test", add_arguments=add_arguments, run=print)
    with pytest.raises(SystemExit):
        run_command(command, ["--help"], "test")
    text = capsys.readouterr().out
    assert "frames per second (default: 30.0)" in text and text.count("default: ") == 2
    assert "--help-all" not in text  # there is no more


def test_narrowed_lists_lose_no_word() -> None:
    text = describe_keys()
    assert max(map(len, text.splitlines())) > 100
    shown = narrowed(text)
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.split() == text.split()
    assert "\n  epochs=300                          of stage 1; " in shown


@pytest.mark.parametrize("command", [attention, check, convert, evaluate, localize, render, train])
def test_a_description_shows_how_the_command_is_called(command: object) -> None:
    name = command.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    assert f"transposenet {name} " in command.DESCRIPTION  # type: ignore[attr-defined]
