"""The one root of errors a user can cause: command lines print its message alone, without a traceback."""


class UserError(Exception):
    """One sentence that names the file, parameter or topic, what was found, what is allowed and what to do."""

    exit_code = 2


class TrainingDivergedError(UserError):
    """Gradients, step after step, or outputs are not finite: another learning rate or other data are needed."""

    exit_code = 3
