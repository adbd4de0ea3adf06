"""What is asked of the code z: one file a variant. A new one is imported here."""

from lit_ae.variants.adversarial_autoencoder import AdversarialAutoencoder
from lit_ae.variants.autoencoder import Autoencoder
from lit_ae.variants.beta_tc_vae import BetaTCVAE
from lit_ae.variants.contractive_autoencoder import ContractiveAutoencoder
from lit_ae.variants.contrastive_autoencoder import ContrastiveAutoencoder
from lit_ae.variants.denoising_autoencoder import DenoisingAutoencoder
from lit_ae.variants.factor_vae import FactorVAE
from lit_ae.variants.ladder_autoencoder import LadderAutoencoder
from lit_ae.variants.masked_autoencoder import MaskedAutoencoder
from lit_ae.variants.sparse_autoencoder import SparseAutoencoder
from lit_ae.variants.vae import VAE
from lit_ae.variants.vector_quantized_autoencoder import VectorQuantizedAutoencoder
from lit_ae.variants.wasserstein_autoencoder import WassersteinAutoencoder

__all__ = [
    "VAE",
    "AdversarialAutoencoder",
    "Autoencoder",
    "BetaTCVAE",
    "ContractiveAutoencoder",
    "ContrastiveAutoencoder",
    "DenoisingAutoencoder",
    "FactorVAE",
    "LadderAutoencoder",
    "MaskedAutoencoder",
    "SparseAutoencoder",
    "VectorQuantizedAutoencoder",
    "WassersteinAutoencoder",
]
