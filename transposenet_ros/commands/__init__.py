"""One module per command of `transposenet` for recordings or the live node; all commands are in `table`."""
