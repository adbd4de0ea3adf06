"""What is asked of the code z: one file a variant. A new one is imported here."""

from lit_ae.variants.adversarial import AdversarialAutoencoder
from lit_ae.variants.autoencoder import Autoencoder
from lit_ae.variants.contrastive import ContrastiveAutoencoder
from lit_ae.variants.factor import FactorVAE
from lit_ae.variants.ladder import LadderAutoencoder
from lit_ae.variants.vae import VAE

__all__ = ["VAE", "AdversarialAutoencoder", "Autoencoder", "ContrastiveAutoencoder", "FactorVAE", "LadderAutoencoder"]
