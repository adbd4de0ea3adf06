"""On real digits the codes of rows that were not trained on pass for any of the priors."""

from statistics import median

import pytest
import torch

from pipelines.command_line import read
from pipelines.configuration import configure, trainer_of
from pipelines.terminal import keep_quiet
from tests.lit_ae.test_adversarial_autoencoder import p_value


@torch.no_grad()
def usual_p_value(model, x):
    """Of the test against three sets of draws, the middle one."""
    codes = model.eval().encode(x)
    return median(p_value(codes, model.prior.sample(len(x), torch.Generator().manual_seed(seed))) for seed in (5, 6, 7))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("prior", ["StandardNormal", "GaussianMixture", "SwissRoll"])
def test_codes_of_digits_pass_the_two_sample_test_that_untrained_ones_fail(prior, workspace):
    keep_quiet()
    words = ["--recipe", "adversarial_autoencoder_digits", "--model.prior", prior, "--trainer.accelerator", "cpu"]
    line = configure(read(words))
    model, x = line.model, line.datamodule.split("tune").x
    assert usual_p_value(model, x) < 0.01
    trainer = trainer_of(line, logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(model.train(), line.datamodule)
    assert usual_p_value(model, x) > 0.05
    assert trainer.callback_metrics["val/prior_coverage"] > 0.75
    assert trainer.callback_metrics["val/mse"] < 0.06
