"""The check of a CUDA machine, as far as a machine without CUDA can run it."""

import pytest
import torch

from benchmarks import cuda_check
from benchmarks.cuda_check import CheckFailedError, check_inference, check_memory, check_training, main

CPU = torch.device("cpu")


def test_without_cuda_it_ends_with_one_sentence(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("error: torch finds no CUDA device; run this with an NVIDIA GPU")


def test_the_checks_themselves_run_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_check, "STEPS", 2)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    text = check_training(CPU)
    assert text.startswith("2 steps: losses differ by 0.0e+00") and "steps skipped 1, weights unchanged: True" in text
    assert "localized alike: True" in check_inference(CPU)
    assert check_memory(CPU) == "not checked: needs CUDA"


def test_a_difference_is_a_failure(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(*_: object) -> str:
        raise CheckFailedError("0.5 m apart")

    monkeypatch.setattr(cuda_check, "CHECKS", {"inference": differs, "node": lambda *_: "fine"})
    assert main(["--device", "cpu"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("inference  FAILED") and lines[2].startswith("node       passed")
