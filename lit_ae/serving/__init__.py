"""The MLflow model: packing it, and running it."""
