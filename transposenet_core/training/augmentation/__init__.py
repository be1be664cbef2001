"""Training images and labels varied anew at every step."""
