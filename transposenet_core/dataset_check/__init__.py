"""Is a data set what it says it is: its poses, its images, its times and its split, looked at before training."""
