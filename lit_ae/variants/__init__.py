"""What is asked of the code z: one file a variant. A new one is imported here."""

from lit_ae.variants.autoencoder import Autoencoder
from lit_ae.variants.beta_tc_vae import BetaTCVAE
from lit_ae.variants.contractive_autoencoder import ContractiveAutoencoder
from lit_ae.variants.denoising_autoencoder import DenoisingAutoencoder
from lit_ae.variants.sparse_autoencoder import SparseAutoencoder
from lit_ae.variants.vae import VAE
from lit_ae.variants.vector_quantized_autoencoder import VectorQuantizedAutoencoder
from lit_ae.variants.wasserstein_autoencoder import WassersteinAutoencoder

__all__ = [
    "VAE",
    "Autoencoder",
    "BetaTCVAE",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
    "VectorQuantizedAutoencoder",
    "WassersteinAutoencoder",
]
