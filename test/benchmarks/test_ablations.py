"""Tables 5 to 8 from the command line: what each row varies, shared and finished runs, and what is not a result."""

import json
from pathlib import Path

import pytest
from training_runs import ROOT, SMALL

from benchmarks.ablation_rows import BASE, all_rows
from benchmarks.ablations import main
from benchmarks.paper_tables import Paper
from transposenet_core.training.config_reading import load_config

PRESET = ROOT / "config" / "train" / "transposenet_outdoor.yaml"
Sentences = pytest.CaptureFixture[str]


def options(row: object, *given: str) -> dict:
    return load_config(PRESET, row.overrides(given)).model.options


def ablate(scene: Path, out: Path, *more: str) -> int:
    return main(["--data", f"7scenes:{scene}", "--out", str(out), *SMALL, *more])


def rows_of(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())["rows"]


def test_each_row_varies_what_its_table_varies_and_nothing_else() -> None:
    rows = all_rows(Paper.read())
    assert [row.number for row in rows][::4] == ["5.1", "6.2", "7.2", "8.2"] and len(rows) == 15
    for row in rows:
        chosen = options(row)
        varied = {key for key in BASE if chosen[key] != BASE[key]}
        assert varied <= row.options.keys()
        written = {
            "5": str(chosen["backbone"]).replace("-", ""),
            "6": str(chosen["layers"]),
            "7": str(chosen["width"]),
            "8": f"m_rdct{chosen['position_level']}/m_rdct{chosen['orientation_level']}",
        }
        assert row.label.lower() == written[row.table]
        assert chosen["mlp_width"] == chosen["width"]  # section 3.3
        assert load_config(PRESET, row.overrides(())).heads.epochs == 0
    base = [row.number for row in rows if {key: options(row)[key] for key in BASE} == BASE]
    assert base == ["5.2", "6.3", "7.3", "8.3"]


def test_overrides_apply_except_to_what_a_row_varies() -> None:
    rows = {row.number: row for row in all_rows(Paper.read())}
    assert options(rows["5.2"], "model.options.layers=1")["layers"] == 1
    assert options(rows["6.4"], "model.options.layers=1")["layers"] == 8


@pytest.mark.long
def test_two_rows_then_a_third_that_shares_a_run(small_scene: Path, tmp_path: Path, capsys: Sentences) -> None:
    out = tmp_path / "out"
    assert ablate(small_scene, out, "--smoke", "--epochs", "1", "--rows", "6.1,8.3") == 0
    text = (out / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert text.splitlines()[0] == "smoke run: not a result"
    rows = rows_of(out)
    # The tiny network has one layer of width 32 everywhere but in Tables 6 and 7: 6.3 and 7.3 are other networks.
    assert [number for number, row in rows.items() if row["status"] == "run"] == ["5.2", "6.1", "8.3"]
    assert rows["8.3"]["result"] == rows["5.2"]["result"] and rows["8.3"]["result"]["epochs"] == 1
    assert rows["6.1"]["result"]["median_m"] != rows["8.3"]["result"]["median_m"]
    assert rows["6.1"]["paper"] == "0.92/4.61"
    assert "| 6.2 |" in text and "- not run: 5.1, 5.3, 6.2, 6.3, 6.4, 7.1" in text and "not among --rows" in text
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["5.2", "6.1"]
    trained = (out / "6.1" / "checkpoint.safetensors").stat().st_mtime_ns
    assert ablate(small_scene, out, "--smoke", "--epochs", "1", "--rows", "5.2,6.1") == 0
    assert capsys.readouterr().out.count("finished before, not trained again") == 2
    assert (out / "6.1" / "checkpoint.safetensors").stat().st_mtime_ns == trained
    assert rows_of(out) == rows


def test_a_network_that_cannot_be_built_is_not_run_and_the_table_has_the_reason(
    small_scene: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert ablate(small_scene, out, "--epochs", "60", "--rows", "6", "model.options.heads=3") == 0
    rows = rows_of(out)
    assert {rows[f"6.{n}"]["status"] for n in (1, 2, 3, 4)} == {"not run"}
    assert "- not run: 6.1, 6.2, 6.3, 6.4: width 32 is not divisible by 3 heads" in (out / "table.md").read_text()


def test_a_row_that_fails_is_named_and_the_next_one_runs(small_scene: Path, tmp_path: Path, capsys: Sentences) -> None:
    out = tmp_path / "out"
    (out / "6.1").mkdir(parents=True)
    (out / "6.1" / "checkpoint.safetensors").write_bytes(b"broken")
    assert ablate(small_scene, out, "--smoke", "--epochs", "1", "--rows", "6.1,5.2") == 2
    assert "error: rows 6.1 failed" in capsys.readouterr().err
    rows = rows_of(out)
    assert rows["5.2"]["status"] == "run"
    assert "training/train.py" in rows["6.1"]["why_not"] and "exit code 2" in rows["6.1"]["why_not"]


def test_rows_of_another_setup_are_refused_or_left_out(small_scene: Path, tmp_path: Path, capsys: Sentences) -> None:
    out = tmp_path / "out"
    assert ablate(small_scene, out, "--smoke", "--epochs", "1", "--rows", "5.2") == 0
    assert ablate(small_scene, out, "--smoke", "--epochs", "2", "--rows", "5.2") == 2
    assert "result.json: made with another setup (config.epochs was 1, is 2)" in capsys.readouterr().err
    assert ablate(small_scene, out, "--smoke", "--epochs", "2", "--rows", "8.1") == 0
    row = rows_of(out)["5.2"]
    assert row["status"] == "not run" and "config.epochs was 1, is 2" in row["why_not"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--epochs", "59"], "row 5.1 would have 59 epochs, a result needs at least 60"),
        (["epochs=5"], "row 5.1 would have 5 epochs"),
        (["--epochs", "60", "--rows", "5.4"], "--rows 5.4: no row '5.4'; allowed are 5.1, 5.2, 5.3, 6.1"),
        (["--rows", ""], "no row ''"),
        (["--epochs", "60", "--split", "absent.csv"], "absent.csv: the split file cannot be read"),
        (["--epochs", "60", "--config", "absent.yaml"], "absent.yaml: the configuration cannot be read"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    more: list[str], sentence: str, small_scene: Path, tmp_path: Path, capsys: Sentences
) -> None:
    assert ablate(small_scene, tmp_path / "out", *more) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ") and sentence in complaint and complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()
