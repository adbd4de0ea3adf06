"""What a detector says of the rows that a user gives, as a frame."""

import numpy as np
import pandas as pd
import torch

from lit_ae.detection.blocks import model_space
from lit_ae.detection.detector import Detector
from lit_ae.serving.frames import Frame

EXPLAINED_AT_ONCE = 1000  # rows


def verdicts(detector: Detector, asked: Frame, top: int = 3) -> pd.DataFrame:
    """A row of ``score``, ``p_value``, ``verdict`` and ``reasons`` for each row of the input.

    Args:
        detector: of the model.
        asked: the rows; one that no window ends at is not scored.
        top: features that the reasons of an anomaly name, at most.
    """
    preprocessing = detector.model.spec.preprocessing
    score = torch.from_numpy(asked.answer(lambda raw: detector.score(model_space(preprocessing, raw))))
    judged = detector.judgement(score)
    reasons = np.full(len(score), "", dtype=object)
    for rows in judged.is_anomaly.nonzero().flatten().split(EXPLAINED_AT_ONCE):
        x = model_space(preprocessing, asked.samples(rows))
        reasons[rows.numpy()] = detector.explain(x, torch.arange(len(rows))).reasons(top)
    verdict = np.where(judged.is_anomaly.numpy(), "anomaly", "normal")
    return pd.DataFrame(
        {
            "score": judged.score.numpy(),
            "p_value": judged.p_value.numpy(),
            "verdict": np.where(judged.is_scored.numpy(), verdict, "not scored"),
            "reasons": reasons,
        }
    )
