"""Training pictures and labels varied anew at every step."""
