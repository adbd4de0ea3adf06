"""The server of :mod:`pipelines.serve`."""
