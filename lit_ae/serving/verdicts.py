"""What a detector says of the rows that a user gives, as a frame."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lit_ae.detection.blocks import model_space
from lit_ae.detection.detector import Detector, Judgement
from lit_ae.serving.frames import Frame

EXPLAINED_AT_ONCE = 1000  # rows


def verdicts(detector: Detector, asked: Frame, top: int = 3) -> pd.DataFrame:
    """A row of ``score``, ``p_value``, ``verdict`` and ``reasons`` for each row of the input.

    Args:
        detector: of the model.
        asked: the rows; one that no window ends at is not scored.
        top: features that the reasons of an anomaly name, at most.
    """
    return verdicts_of_each(detector, [asked], top)[0]


def verdicts_of_each(detector: Detector, asked: Sequence[Frame], top: int = 3) -> list[pd.DataFrame]:
    """:func:`verdicts` of several frames, whose rows go through the model together; each gets the answer it would get
    alone, as a row's score depends on the row (or its window) and on nothing beside it.
    """
    joined, preprocessing = Frame.joined(asked), detector.model.spec.preprocessing
    score = torch.from_numpy(joined.answer(lambda raw: detector.score(model_space(preprocessing, raw))))
    sizes = [len(frame.raw) for frame in asked]
    judged = [detector.judgement(some) for some in score.split(sizes)]
    reasons = np.full(len(score), "", dtype=object)
    anomalies = torch.cat([one.is_anomaly for one in judged]).nonzero().flatten()
    for rows in anomalies.split(EXPLAINED_AT_ONCE) if len(anomalies) else ():
        raw = joined.samples(rows)
        found = detector.explain(model_space(preprocessing, raw), torch.arange(len(rows)))
        reasons[rows.numpy()] = found._replace(raw=raw).reasons(top)
    return [_told(one, said) for one, said in zip(judged, np.split(reasons, np.cumsum(sizes)[:-1]), strict=True)]


def _told(judged: Judgement, reasons: NDArray[np.object_]) -> pd.DataFrame:
    verdict = np.where(judged.is_anomaly.numpy(), "anomaly", "normal")
    return pd.DataFrame(
        {
            "score": judged.score.numpy(),
            "p_value": judged.p_value.numpy(),
            "verdict": np.where(judged.is_scored.numpy(), verdict, "not scored"),
            "reasons": reasons,
        }
    )
