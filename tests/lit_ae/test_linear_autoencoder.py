"""A linear autoencoder learns the subspace of PCA (Baldi & Hornik 1989)."""

from functools import partial

import lightning as L
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from data import Digits
from lit_ae.metrics.chunks import in_chunks
from lit_ae.networks import MLP
from lit_ae.optimization import Cosine
from lit_ae.variants import Autoencoder


def test_its_subspace_and_its_error_are_those_of_pca():
    L.seed_everything(0, verbose=False)
    data = Digits(batch_size=256, seed=0)
    model = Autoencoder(
        data.spec, latent_dim=4, network=partial(MLP, hidden=[]), learning_rate=Cosine(),
        optimizer=partial(torch.optim.Adam, lr=0.05),
    )  # fmt: skip
    trainer = L.Trainer(
        max_epochs=400, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(model, data)
    x = data.split("fit").x
    pca = PCA(4).fit(x.flatten(1).numpy())
    angles = subspace_angles(pca.components_.T, model.network.decoder[0].weight.detach().numpy())
    assert angles.max() < 0.05
    error = (in_chunks(model, x) - x).square().mean().item()
    best = float(((pca.inverse_transform(pca.transform(x.flatten(1).numpy())) - x.flatten(1).numpy()) ** 2).mean())
    assert best <= error < 1.002 * best
