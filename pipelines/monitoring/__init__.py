"""Watching a model in use, and what follows from it: the commands monitor, recalibrate and adapt."""
