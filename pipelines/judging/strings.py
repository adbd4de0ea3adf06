"""What strings that were reconstructed are worth beside trivial ones."""

import torch

from data.base import LitData
from lit_ae.metrics.ngrams import unigram_nats
from lit_ae.metrics.reconstruction import reconstruction_figures
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_strings(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """Floors for sequences: a random training string as the reconstruction, and tokens drawn by their shares."""
    spec = data.spec
    if spec.kind != "sequence":
        return
    fit, x = data.split("fit").x, data.split("test").x
    chosen = torch.randint(len(fit), (len(x),), generator=torch.Generator().manual_seed(0))
    verdict.add("random", reconstruction_figures(x, fit[chosen], spec))
    verdict.protocol["token_accuracy"] = "mean over test strings of the share of tokens that come back in their place"
    verdict.protocol["exact"] = "share of test strings that come back token by token, the end mark's place included"
    verdict.protocol["random"] = "a random training string in the reconstruction's place"
    if spec.pad is not None:
        nats = unigram_nats(fit, x, len(spec.vocabulary), int(spec.pad))
        verdict.figures["random/reconstruction"] = nats
        verdict.protocol["reconstruction"] = (
            f"nats a string, {sum(data.rows['test'].raw.ne(spec.pad).sum(1).tolist()) / len(x):.1f} tokens on average; "
            "random: tokens drawn independently by their shares in training"
        )
