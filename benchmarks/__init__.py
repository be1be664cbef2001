"""Published protocols, run with our code and set beside the published numbers; they print tables and assert nothing."""
