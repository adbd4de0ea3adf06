"""What is asked of the code z: one file a variant. A new one is imported here."""

from lit_ae.variants.autoencoder import Autoencoder
from lit_ae.variants.contractive_autoencoder import ContractiveAutoencoder
from lit_ae.variants.sparse_autoencoder import SparseAutoencoder
from lit_ae.variants.vae import VAE
from lit_ae.variants.vector_quantized_autoencoder import VectorQuantizedAutoencoder

__all__ = ["VAE", "Autoencoder", "ContractiveAutoencoder", "SparseAutoencoder", "VectorQuantizedAutoencoder"]
