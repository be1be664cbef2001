"""What ends long work in order."""

import signal
import sys
import time

import pytest

from transposenet_core.stopping import Stopped, stoppable


class ASignalArrivesHere:
    """Python swallows what is raised in a finalizer."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_arrives_in_a_finalizer_still_stops(capsys: pytest.CaptureFixture[str]) -> None:
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped, stoppable("stops in order"):
        del (_ := [ASignalArrivesHere()])[0]
        time.sleep(5)
        pytest.fail("the signal was lost")
    assert stopped.value.number == signal.SIGTERM
    assert capsys.readouterr().err == "SIGTERM: stops in order\n"
    assert (sys.unraisablehook, signal.getsignal(signal.SIGTERM)) == (hook, handler)


def test_what_else_is_lost_in_a_finalizer_is_reported_as_before() -> None:
    class Fails:
        def __del__(self) -> None:
            raise ValueError("of the finalizer")

    reported = []
    before, sys.unraisablehook = sys.unraisablehook, lambda lost: reported.append(str(lost.exc_value))
    try:
        with stoppable("stops in order"):
            Fails()
    finally:
        sys.unraisablehook = before
    assert reported == ["of the finalizer"]
