"""What every model is held against: principal components of the same size on the same split."""

import torch
from sklearn.decomposition import PCA
from torch import Tensor


class PrincipalComponents:
    """PCA fitted on the training split.

    Args:
        x: training samples ``(N, ...)``.
        components: the latent size to compare with; cut to what the data allows.
    """

    def __init__(self, x: Tensor, components: int):
        rows = x.flatten(1).numpy()
        self.components = min(components, *rows.shape)
        self._pca = PCA(self.components, svd_solver="covariance_eigh").fit(rows)

    def encode(self, x: Tensor) -> Tensor:
        """``(N, ...)`` to ``(N, components)``."""
        return torch.from_numpy(self._pca.transform(x.flatten(1).numpy()))

    def reconstruct(self, x: Tensor) -> Tensor:
        """The projection of ``x`` on the components' subspace, of the same shape."""
        flat = self._pca.inverse_transform(self._pca.transform(x.flatten(1).numpy()))
        return torch.from_numpy(flat).to(x.dtype).view_as(x)
