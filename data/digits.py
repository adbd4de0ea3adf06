"""Handwritten digits that ship with scikit-learn."""

import torch

from data.base import Role, Rows
from data.grey_images import GreyImages

TUNE_ROWS, TEST_ROWS = 180, 360


class Digits(GreyImages):
    """1,797 real handwritten digits of 8x8 pixels, grey 0..16, from scikit-learn: nothing to download.

    The split into 1,257 training, 180 tuning and 360 test rows keeps the classes' proportions and is always the same.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    side, white, classes = 8, 16.0, tuple("0123456789")

    def read(self) -> dict[Role, Rows]:
        """Reads scikit-learn's copy: raw ``(N, 1, 8, 8)`` of type float32."""
        from sklearn.datasets import load_digits  # here, as commands on other data need not wait for scikit-learn
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        rest, test = train_test_split(range(len(labels)), test_size=TEST_ROWS, stratify=labels, random_state=0)
        fit, tune = train_test_split(rest, test_size=TUNE_ROWS, stratify=labels[rest], random_state=0)
        raw = torch.from_numpy(images).float().view(-1, 1, self.side, self.side)
        y = torch.from_numpy(labels).long()
        return {"fit": Rows(raw[fit], y[fit]), "tune": Rows(raw[tune], y[tune]), "test": Rows(raw[test], y[test])}
