"""How well a code tells the classes apart."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


def linear_probe_accuracy(codes: Tensor, y: Tensor, test_codes: Tensor, test_y: Tensor, rows: int = 10_000) -> float:
    """Test accuracy (0 to 1) of a logistic regression on standardised codes.

    Args:
        codes: training codes ``(N, latent_dim)``; the first ``rows`` are used.
        y: their labels ``(N,)``.
        test_codes: codes to judge.
        test_y: their labels.
        rows: bound on the probe's training set.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probe.fit(codes[:rows].numpy(), y[:rows].numpy())
    return float(probe.score(test_codes.numpy(), test_y.numpy()))
