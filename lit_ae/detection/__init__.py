"""From a trained model to a verdict: scores, thresholds, explanations. It travels inside the served model."""
