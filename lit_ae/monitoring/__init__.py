"""What a model in use is watched by: the profile of what it was calibrated on, and how far new rows are from it."""
