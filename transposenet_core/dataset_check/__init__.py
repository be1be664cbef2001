"""Is a data set what it says it is: its poses, its pictures, its times and its split, looked at before training."""
