"""The one root of errors a user can cause: command lines print its message alone, without a traceback."""


class UserError(Exception):
    """One sentence that names the file, parameter or topic, what was found, what is allowed and what to do."""
