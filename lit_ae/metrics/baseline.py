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

    def first(self, count: int, x: Tensor) -> Tensor:
        """What :meth:`reconstruct` gives with the first ``count`` components alone."""
        codes = self.encode(x)
        codes[:, count:] = 0
        return torch.from_numpy(self._pca.inverse_transform(codes.numpy())).to(x.dtype).view_as(x)

    def fill_in(self, x: Tensor, hidden: Tensor) -> Tensor:
        """``x`` with the ``hidden`` features (bool, of its shape) replaced by what the others let expect.

        That is their conditional mean under probabilistic PCA (Tipping & Bishop 1999, section 3): the Gaussian that
        the components stand for, with what they leave out as noise.
        """
        noise = max(float(self._pca.noise_variance_), 1e-6)
        scales = torch.from_numpy(self._pca.explained_variance_).sub(noise).clamp(min=0).sqrt()
        loadings = (torch.from_numpy(self._pca.components_) * scales[:, None]).T.to(x.dtype)
        mean = torch.from_numpy(self._pca.mean_).to(x.dtype)
        seen = (~hidden).flatten(1).to(x.dtype)
        inner = torch.einsum("nd,dk,dl->nkl", seen, loadings, loadings) + noise * torch.eye(self.components)
        codes = torch.linalg.solve(inner, ((x.flatten(1) - mean) * seen) @ loadings)
        return torch.where(hidden, (codes @ loadings.T + mean).view_as(x), x)
