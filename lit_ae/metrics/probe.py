"""How well a code tells the classes apart."""

from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


def linear_probe_accuracy(
    codes: Tensor, y: Tensor, test_codes: Tensor, test_y: Tensor, rows: int = 10_000, standardize: bool = True
) -> float:
    """Test accuracy (0 to 1) of a logistic regression on codes.

    Args:
        codes: training codes ``(N, latent_dim)``; the first ``rows`` are used.
        y: their labels ``(N,)``.
        test_codes: codes to judge.
        test_y: their labels.
        rows: bound on the probe's training set.
        standardize: whether each number is scaled to variance 1; for pixels it is better not to.
    """
    scaler = [StandardScaler()] if standardize else []
    probe = make_pipeline(*scaler, LogisticRegression(max_iter=1000))
    probe.fit(codes[:rows].numpy(), y[:rows].numpy())
    return float(probe.score(test_codes.numpy(), test_y.numpy()))


def nearest_neighbours_accuracy(
    codes: Tensor, y: Tensor, test_codes: Tensor, test_y: Tensor, neighbours: int = 5
) -> float:
    """Test accuracy (0 to 1) of the vote of the nearest training codes, by Euclidean distance, codes as they are.

    Args:
        codes: training codes ``(N, latent_dim)``.
        y: their labels ``(N,)``.
        test_codes: codes to judge.
        test_y: their labels.
        neighbours: how many vote; all, where there are fewer.
    """
    voters = KNeighborsClassifier(min(neighbours, len(codes))).fit(codes.numpy(), y.numpy())
    return float(voters.score(test_codes.numpy(), test_y.numpy()))
