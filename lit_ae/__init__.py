"""Autoencoders: what is learned, and what a served model needs."""
