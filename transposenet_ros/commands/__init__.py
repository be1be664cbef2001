"""One module a command of `transposenet` that works with recordings or the live node; all commands in `table`."""
