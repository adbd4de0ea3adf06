"""What the judges of a model find, and what they all need to know of it."""

from dataclasses import dataclass, field

from torch import Tensor

from lit_ae.metrics.baseline import PrincipalComponents


@dataclass
class Verdict:
    """What the test split showed.

    Attributes:
        codes: test codes ``(N, latent_dim)``.
        x_hat: test reconstructions ``(N, *spec.shape)``, in model space.
        pca: principal components of the same size, fitted on the training split.
        errors: mean squared error of each test row, ``(N,)``.
        pca_errors: those of PCA.
        figures: by MLflow key, such as ``test/mse`` and ``pca/mse``.
        protocol: a sentence for each figure that needs one.
        kl: mean KL in nats of each latent dimension, or None.
    """

    codes: Tensor
    x_hat: Tensor
    pca: PrincipalComponents
    errors: Tensor
    pca_errors: Tensor
    figures: dict[str, float] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)
    kl: Tensor | None = None

    def add(self, group: str, figures: dict[str, float]) -> None:
        """Takes in figures by name, each under the key ``<group>/<name>``."""
        self.figures |= {f"{group}/{name}": value for name, value in figures.items()}
