"""How far estimates are from ground truth: errors, alignment, baselines, figures."""
