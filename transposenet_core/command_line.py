"""How every program of the project ends: one sentence for what a user can mend, a traceback for what we must."""

from __future__ import annotations

import sys
from collections.abc import Callable

from transposenet_core.errors import UserError
from transposenet_core.printable import printable


def exit_code(work: Callable[[], object]) -> int:
    """Do `work` and return 0; 2 after a sentence on a user's error or a file that cannot be used (3 where a
    training diverged); 130 after Ctrl-C."""
    try:
        work()
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"error: {printable(what)}; check the path and its rights, or name another", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
