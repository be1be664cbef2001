"""The project's commands: arguments in, library calls, text out."""
