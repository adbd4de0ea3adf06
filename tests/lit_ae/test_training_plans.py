"""Several optimizers behind one, against the same optimizers stepped by hand."""

from copy import deepcopy
from functools import partial

import lightning as L
import pytest
import torch
from torch import nn

from data import Digits
from lit_ae.adversaries import Discriminator
from lit_ae.batch import Batch
from lit_ae.errors import NotFinite, UserError
from lit_ae.networks import MLP
from lit_ae.optimization import Plateau, WarmupDecay
from lit_ae.training_plans import Adversarial, SingleOptimizer, Together, fused
from lit_ae.variants import AdversarialAutoencoder, Autoencoder, FactorVAE
from pipelines.callbacks import StopEarly

adam = partial(torch.optim.Adam, lr=0.02, betas=(0.5, 0.9))
sgd = partial(torch.optim.SGD, lr=0.3, momentum=0.7)


def a_model(variant=AdversarialAutoencoder, **options):
    torch.manual_seed(2)
    small = {"network": partial(MLP, hidden=[16]), "discriminator_hidden": [8], "latent_dim": 3}
    return variant(Digits().spec, **{**small, "optimizer": adam, "adversary_optimizer": sgd, **options})


def fitted(model, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = L.Trainer(accelerator="cpu", enable_checkpointing=False, **quiet, **{"max_epochs": 2, **options})
    trainer.fit(model, Digits(batch_size=50, fit_rows=150, seed=1))
    return trainer


def test_a_single_optimizer_has_all_parameters():
    model = Autoencoder(Digits().spec)
    assert isinstance(model.training_plan, SingleOptimizer)
    (group,) = model.training_plan.optimizer(model, adam).param_groups
    assert group["params"] == list(model.parameters())


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_one_kernel_steps_as_many_do(kind):
    start = torch.linspace(-1, 1, 30, dtype=torch.float64)
    one, many = (nn.Parameter(start.clone()) for _ in range(2))
    ways = [fused(kind([one], lr=0.1)), kind([many], lr=0.1, fused=False)]
    assert [way.param_groups[0]["fused"] for way in ways] == [True, False]
    for step in range(5):
        for way in ways:
            way.param_groups[0]["params"][0].grad = torch.sin(start * (step + 1))
            way.step()
    torch.testing.assert_close(one.detach(), many.detach())


@pytest.mark.parametrize("choice", [{"fused": False}, {"foreach": True}, {"differentiable": True}])
def test_a_choice_of_the_users_stands(choice):
    optimizer = fused(torch.optim.Adam([nn.Parameter(torch.ones(2))], **choice))
    assert not optimizer.param_groups[0]["fused"]
    assert "fused" not in fused(torch.optim.RMSprop([nn.Parameter(torch.ones(2))])).param_groups[0]


def test_each_optimizer_steps_its_own_parameters_as_it_would_alone():
    """Three steps, against an autoencoder's and a discriminator's optimizer with gradients taken one after another."""
    model, by_hand = a_model(), a_model()
    together = model.training_plan.optimizer(model, adam)
    theirs = list(by_hand.discriminator.parameters())
    first, second = adam([*by_hand.network.parameters()]), sgd(theirs)
    x = torch.rand(20, 1, 8, 8)
    for step in range(3):
        torch.manual_seed(step)
        together.zero_grad()
        model.objective(Batch(x), epoch=1.0)[0].backward()
        together.step()
        torch.manual_seed(step)
        passed = by_hand.forward_pass(x, x)
        terms = by_hand.terms(passed)
        first.zero_grad()
        second.zero_grad()
        (terms["reconstruction"] + terms["adversarial"]).mean().backward(inputs=[*by_hand.network.parameters()])
        first.step()
        terms["discriminator"].mean().backward(inputs=theirs)
        second.step()
    for a, b in zip(model.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-7)


@pytest.mark.parametrize("variant", [AdversarialAutoencoder, FactorVAE])
def test_neither_sides_cost_touches_the_other_side(variant):
    model = a_model(variant)
    x = torch.rand(20, 1, 8, 8)
    terms = model.terms(model.forward_pass(x, x))
    own = terms.pop("discriminator").mean()
    theirs, ours = list(model.discriminator.parameters()), list(model.network.parameters())
    gradients = torch.autograd.grad(sum(term.mean() for term in terms.values()), theirs + ours, allow_unused=True)
    assert [g is None for g in gradients] == [True] * len(theirs) + [False] * len(ours)
    gradients = torch.autograd.grad(own, theirs + ours, allow_unused=True)
    assert [g is None for g in gradients] == [False] * len(theirs) + [True] * len(ours)


def test_the_state_is_saved_and_loaded_and_the_parts_go_on_with_it():
    def a_pair():
        torch.manual_seed(0)
        nets = [nn.Linear(3, 2), nn.Linear(2, 1)]
        return nets, Together([adam(nets[0].parameters()), sgd(nets[1].parameters())])

    def steps(nets, optimizer, count):
        for i in range(count):
            optimizer.zero_grad()
            loss = optimizer.step(lambda: backward(nets[1](nets[0](torch.ones(1, 3) * (i + 1))).square().sum()))  # noqa: B023
            assert loss > 0

    def backward(loss):
        loss.backward()
        return loss

    nets, optimizer = a_pair()
    steps(nets, optimizer, 4)
    state = deepcopy(optimizer.state_dict())
    weights = [{k: v.clone() for k, v in net.state_dict().items()} for net in nets]
    others, resumed = a_pair()
    resumed.load_state_dict(state)
    for net, weight in zip(others, weights, strict=True):
        net.load_state_dict(weight)
    resumed.param_groups[1]["lr"] = optimizer.param_groups[1]["lr"] = 0.05
    steps(nets, optimizer, 3)
    steps(others, resumed, 3)
    assert [part.param_groups[0]["lr"] for part in resumed.parts] == [0.02, 0.05]
    for a, b in zip(nets, others, strict=True):
        assert torch.equal(a.weight, b.weight)


def test_one_batch_is_one_step_and_both_learning_rates_follow_the_schedule():
    trainer = fitted(a_model(learning_rate=WarmupDecay(warmup_epochs=1, final=0.1)))
    assert trainer.global_step == 6
    ours, theirs = trainer.optimizers[0].param_groups
    assert (ours["initial_lr"], theirs["initial_lr"]) == (0.02, 0.3)
    assert ours["lr"] / ours["initial_lr"] == pytest.approx(theirs["lr"] / theirs["initial_lr"]) == pytest.approx(0.1)
    assert trainer.callback_metrics["learning_rate"] == pytest.approx(ours["lr"])


def test_gradients_are_accumulated_and_clipped_by_the_trainers_own_options():
    whole, parts = a_model(), a_model()
    assert fitted(parts, max_epochs=4, accumulate_grad_batches=3).global_step == 4
    assert fitted(whole, max_epochs=1, gradient_clip_val=1e-9).global_step == 3
    for name, before in a_model().state_dict().items():
        moved = (whole.state_dict()[name] - before).abs().max()
        assert moved < 1e-6 or not name.startswith("discriminator")  # plain SGD moves with the clipped gradient alone
        assert not torch.equal(parts.state_dict()[name], before)


def test_plateaus_early_stopping_and_the_nan_guard_know_no_difference():
    trainer = fitted(
        a_model(learning_rate=Plateau(patience=0), optimizer=partial(torch.optim.SGD, lr=0.0)),
        max_epochs=9,
        callbacks=[StopEarly(patience=2)],
    )
    assert trainer.current_epoch < 9
    assert trainer.optimizers[0].param_groups[1]["lr"] < 0.3
    with pytest.raises(NotFinite, match="is not finite at step"):
        fitted(a_model(adversary_optimizer=partial(torch.optim.SGD, lr=1e30)), max_epochs=5)


def test_an_optimizer_that_needs_a_closure_is_refused():
    with pytest.raises(UserError, match="choose another one"):
        fitted(a_model(adversary_optimizer=torch.optim.LBFGS))


def test_the_adversary_gets_an_optimizer_of_the_main_kind_by_default():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "d": Discriminator(2, [4])})
    together = Adversarial(model["d"]).optimizer(model, adam)
    assert [type(part) for part in together.parts] == [torch.optim.Adam, torch.optim.Adam]
    assert sum(len(group["params"]) for group in together.param_groups) == len(list(model.parameters()))
