"""The plain autoencoder."""

from lit_ae.module import LitAutoencoder


class Autoencoder(LitAutoencoder):
    """Reconstruction through a bottleneck (Hinton & Salakhutdinov 2006); with a corruption, a denoising autoencoder."""
