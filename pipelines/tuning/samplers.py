"""Optuna's samplers and pruners by the names of a study's YAML."""

import warnings

import optuna
from optuna import Study
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from lit_ae.randomness import mix
from pipelines.tuning.definition import Search


def sampler_of(search: Search, number: int) -> BaseSampler:
    """The sampler of the trial of that number: the same for the same study, another one for every trial.

    So what a trial tries does not depend on which worker takes it, nor on how often the study was stopped.
    """
    seed = mix(search.seed, number) % 2**32
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if search.sampler == "random":
        return RandomSampler(seed)
    if search.sampler == "nsga2":
        return NSGAIISampler(population_size=20, seed=seed)
    if search.sampler == "cmaes":
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if search.sampler == "qmc":  # one sequence, of which the storage counts the points
        return QMCSampler(scramble=True, seed=search.seed, warn_independent_sampling=False)
    return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def pruner_of(search: Search, epochs: int) -> BasePruner:
    """The pruner; epochs are what Hyperband gives out."""
    if search.pruner == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, epochs // 5))
    if search.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=max(1, epochs), reduction_factor=3)
    return NopPruner()


def prepare(study: Study, search: Search, number: int, epochs: int) -> None:
    """Gives the study the sampler of the trial of that number, and the pruner."""
    study.sampler, study.pruner = sampler_of(search, number), pruner_of(search, epochs)
