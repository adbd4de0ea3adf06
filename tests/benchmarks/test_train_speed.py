"""The benchmark measures what it says: the same loss in all loops, a fair clock, and ratios turn by turn."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import contenders, train_speed
from benchmarks.contenders import LOSSES, WARM_UP, Rate, Setting, Stopwatch, ours, plain_training, tensor_batches
from lit_ae.batch import Batch

ROWS, BATCH = 1000, 32


@pytest.fixture
def setting_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Setting]:
    """A short training on data that needs no download."""
    monkeypatch.setattr(contenders, "DATA", "--data=Digits")
    return lambda network: Setting(network, BATCH, epochs=1, rows=ROWS, folder=tmp_path)


@pytest.mark.parametrize("network", LOSSES)
def test_all_loops_have_the_same_gradients(network: str, setting_of: Callable[[str], Setting]) -> None:
    model, x = setting_of(network).configure().model, torch.rand(8, 1, 8, 8)
    gradients = []
    for loss in (lambda: model.objective(Batch(x), None)[0], lambda: LOSSES[network](model.network, x)):
        model.zero_grad()
        torch.manual_seed(0)
        loss().backward()
        gradients.append([p.grad.clone() for p in model.network.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("is_tracked", [True, False])
def test_ours_is_measured(is_tracked: bool, setting_of: Callable[[str], Setting], workspace: Path) -> None:
    rate = ours(setting_of("mlp"), is_tracked)
    assert rate.rows_per_second > 0
    assert rate.cpu_microseconds > 0
    runs = list(workspace.glob("outputs/*/outbox.jsonl"))
    assert len(runs) == is_tracked


def test_the_plain_loop_trains_on_every_row(setting_of: Callable[[str], Setting]) -> None:
    setting = setting_of("mlp")
    x = torch.rand(ROWS, 1, 8, 8)
    network = setting.configure().model.network
    before = [p.clone() for p in network.parameters()]
    seen: list[torch.Tensor] = []

    def batches():
        for batch in tensor_batches(x, BATCH):
            seen.append(batch)
            yield batch

    assert plain_training(setting, network, batches).rows_per_second > 0
    assert not any(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert torch.cat(seen).sum() == pytest.approx(x.sum().item(), rel=1e-4)
    assert len(torch.cat(seen)) == ROWS


def test_the_clock_leaves_out_the_warm_up_and_the_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 15.0, 100.0, 105.0])  # go on, pause, go on, pause
    monkeypatch.setattr(contenders.time, "perf_counter", lambda: next(now))
    watch = Stopwatch()
    for _ in range(WARM_UP + 4):
        watch.step(5)
    watch.on_validation_start()
    watch.on_validation_end()
    watch.on_train_end()
    assert watch.rate.rows_per_second == 4 * 5 / (5.0 + 5.0)


def test_ratios_are_medians_over_the_turns() -> None:
    def rates(*rows: float) -> list[Rate]:
        return [Rate(r, 1.0) for r in rows]

    measured = {
        train_speed.OURS: rates(90, 45, 900),
        train_speed.BARE: rates(100, 50, 3000),
        train_speed.UNTRACKED: rates(100, 50, 1000),
        train_speed.HALF: rates(120, 60, 1200),
        "loop over torchvision's samples, 0 workers": rates(30, 15, 300),
    }
    lines = train_speed.table("mlp", measured)
    assert "| ours | 90 | 45-900 | 0.90 | 1.0 | 1.00 |" in lines
    assert "ours / loop over torchvision's samples, 0 workers: 3.00  " in lines
    assert "ours, --trainer.precision bf16-mixed / loop over torchvision's samples, 0 workers: 4.00  " in lines
    assert "tracking costs 10.0 % of the rate, 0.0 % by CPU time." in lines


def test_missing_data_is_answered_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("data.mnist.MIRRORS", [])
    monkeypatch.setenv("LIT_AE_DATA", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        train_speed.main(["--network", "mlp"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_too_few_steps_are_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_speed, "prepare", lambda: None)
    with pytest.raises(SystemExit):
        train_speed.main(["--rows", "256"])
    with pytest.raises(SystemExit):
        train_speed.main(["--epochs", "0"])
    assert "must be 1 or more" in capsys.readouterr().err
