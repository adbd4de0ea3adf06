"""What every data set promises, shown on the one that ships with scikit-learn."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonargparse
import lightning as L
import pytest
import torch
from sklearn.datasets import load_digits

import data
from data.base import Role, Rows
from lit_ae.errors import UserError
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

ROLES: tuple[Role, ...] = ("fit", "tune", "test")


class Unlabelled(data.LitData):
    """Ten rows of three numbers in each role."""

    spec = DataSpec("Unlabelled", "table", (3,), Rescale(0.0, 10.0))

    def load(self) -> dict[Role, Rows]:
        return {role: Rows(torch.full((10, 3), float(number))) for number, role in enumerate(ROLES)}


def test_digits_are_split_once_and_for_all() -> None:
    digits = data.Digits()
    digits.setup()
    assert digits.split_sizes == {"fit": 1257, "tune": 180, "test": 360}
    assert digits.digest == "7e73b889b49b2f246230f95bcdc4938316fdaaefc53ab3a67f23a40ceaa4d9d2"
    everything = torch.cat([digits.rows[role].raw for role in ROLES]).flatten(1)
    source = torch.from_numpy(load_digits().data).float()
    assert sorted(everything.tolist()) == sorted(source.tolist())


def test_digits_keep_the_proportions_of_the_classes() -> None:
    digits = data.Digits()
    for role in ROLES:
        y = digits.split(role).y
        assert y is not None
        assert y.dtype == torch.int64
        frequencies = torch.bincount(y, minlength=10) / len(y)
        assert frequencies.allclose(torch.full((10,), 0.1), atol=0.006)


def test_the_spec_is_there_before_any_file_is_read(tmp_path: Path) -> None:
    for module in (data.Digits(root=str(tmp_path)), data.MNIST(root=str(tmp_path), binarize="dynamic")):
        assert module.spec.value_range == (0.0, 1.0)
        assert module.spec.classes == tuple("0123456789")
        assert not module.spec.synthetic
    assert data.Digits().spec.shape == (1, 8, 8)
    assert data.MNIST().spec.shape == (1, 28, 28)
    assert data.MNIST(binarize="dynamic").spec.binarize == "dynamic"
    assert data.MNIST().spec.name == "MNIST"


def test_grey_levels_go_to_model_space_and_back() -> None:
    digits = data.Digits()
    x = digits.split("test").x
    assert x.dtype == torch.float32
    assert (x.min().item(), x.max().item()) == (0.0, 1.0)
    assert digits.spec.preprocessing.invert(x).equal(digits.rows["test"].raw)


def test_a_threshold_makes_one_of_half_or_more() -> None:
    digits = data.Digits(binarize="threshold")
    assert digits.split("test").x.equal((digits.rows["test"].raw >= 8).float())
    assert next(iter(digits.train_dataloader())).x.unique().tolist() == [0.0, 1.0]


def test_dynamic_binarization_draws_anew_for_training_and_once_for_evaluation() -> None:
    digits, other = data.Digits(binarize="dynamic", seed=1), data.Digits(binarize="dynamic", seed=2)
    train = digits.train_dataloader()
    epochs = []
    for epoch in (0, 0, 1):
        train.load_state_dict({"epoch": epoch, "position": 0})
        epochs.append(torch.cat([batch.x for batch in train]))
    assert epochs[0].equal(epochs[1])
    assert epochs[0].sum() != epochs[2].sum()
    for role in ROLES:
        assert digits.split(role).x.equal(other.split(role).x)
        assert digits.split(role).x.unique().tolist() == [0.0, 1.0]
    assert torch.cat([batch.x for batch in digits.test_dataloader()]).equal(digits.split("test").x)
    mean = digits.rows["fit"].raw.mean().item() / 16
    assert epochs[0].mean().item() == pytest.approx(mean, abs=0.005)


def test_training_is_shuffled_and_evaluation_is_in_order() -> None:
    digits = data.Digits(batch_size=100)
    for loader, role in ((digits.val_dataloader(), "tune"), (digits.test_dataloader(), "test")):
        assert torch.cat([batch.x for batch in loader]).equal(digits.split(role).x)  # type: ignore[arg-type]
    seen = torch.cat([batch.x for batch in digits.train_dataloader()]).flatten(1)
    assert not seen.equal(digits.split("fit").x.flatten(1))
    assert sorted(seen.tolist()) == sorted(digits.split("fit").x.flatten(1).tolist())


def test_labels_stay_with_their_rows() -> None:
    digits = data.Digits()
    split = digits.split("fit")
    assert split.y is not None
    label = {tuple(x): y for x, y in zip(split.x.flatten(1).tolist(), split.y.tolist(), strict=True)}
    for batch in digits.train_dataloader():
        assert batch.y is not None
        assert [label[tuple(x)] for x in batch.x.flatten(1).tolist()] == batch.y.tolist()


def test_two_processes_share_the_global_batch() -> None:
    parts = []
    for rank in range(2):
        digits = data.Digits(batch_size=50)
        digits.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        parts.append(list(digits.train_dataloader()))
    whole = list(data.Digits(batch_size=50).train_dataloader())
    for batch, even, odd in zip(whole, *parts, strict=True):
        assert (even.share, odd.share) == (pytest.approx(1.0, abs=0.2), pytest.approx(2.0 - even.share))
        assert batch.x[0::2].equal(even.x)
        assert batch.x[1::2].equal(odd.x)


def test_a_quick_look_takes_the_first_training_rows() -> None:
    digits, whole = data.Digits(fit_rows=10), data.Digits()
    assert digits.split_sizes == {"fit": 10, "tune": 180, "test": 360}
    assert digits.split("fit").x.equal(whole.split("fit").x[:10])
    assert digits.digest != whole.digest


def test_the_digest_is_of_the_content_labels_and_roles_alone() -> None:
    class Other(Unlabelled):
        changed: tuple[Role, Rows]

        def load(self) -> dict[Role, Rows]:
            return {**super().load(), self.changed[0]: self.changed[1]}

    def digest(role: Role, rows: Rows) -> str:
        other = Other()
        other.changed = (role, rows)
        return other.digest

    same = torch.full((10, 3), 1.0)
    reference = Unlabelled().digest
    assert Unlabelled(seed=3, batch_size=4).digest == digest("tune", Rows(same)) == reference
    different = [
        digest("tune", Rows(same + 1)),
        digest("test", Rows(same)),
        digest("tune", Rows(same, torch.zeros(10))),
        digest("tune", Rows(same, torch.ones(10))),
    ]
    assert len({reference, *different}) == 5


def test_data_without_labels_has_none_in_its_batches() -> None:
    batches = list(Unlabelled(batch_size=4, fit_rows=6).train_dataloader())
    assert [tuple(batch.x.shape) for batch in batches] == [(4, 3), (2, 3)]
    assert all(batch.y is None and batch.share == 1.0 for batch in batches)


def test_the_root_is_the_argument_or_the_environment_or_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_AE_DATA", "/elsewhere")
    assert data.Digits(root="~/here").root == Path.home() / "here"
    assert data.Digits().root == Path("/elsewhere")
    monkeypatch.delenv("LIT_AE_DATA")
    assert data.Digits().root == Path.home() / ".cache" / "lit_ae"


@pytest.mark.parametrize(
    ("option", "value"),
    [("batch_size", 0), ("batch_size", 1), ("fit_rows", 1), ("fit_rows", 1258), ("seed", -1), ("binarize", "dynmic")],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_name(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^data\.{option} is '?{value}'?,") as refusal:
        data.Digits(**{option: value}).setup()
    assert str(refusal.value).count("\n") == 0


def test_a_batch_too_small_for_the_processes_is_refused_by_its_name() -> None:
    digits = data.Digits(batch_size=6)
    digits.trainer = SimpleNamespace(global_rank=0, world_size=4)  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"^data\.batch_size is 6, .*4 process.*8 at least"):
        digits.train_dataloader()


def parser() -> jsonargparse.ArgumentParser:
    made = jsonargparse.ArgumentParser(exit_on_error=False)
    made.add_subclass_arguments(L.LightningDataModule, "data")
    return made


def test_the_command_line_knows_the_options_of_all_levels() -> None:
    flags = ["--data=MNIST", "--data.tune_rows=9", "--data.binarize=dynamic", "--data.batch_size=64", "--data.root=/r"]
    config = parser().parse_args(flags)
    module = parser().instantiate(config).data
    assert isinstance(module, data.MNIST)
    assert (module.tune_rows, module.binarize, module.batch_size, module.root) == (9, "dynamic", 64, Path("/r"))
    assert config.data.init_args.seed is None


@pytest.mark.parametrize("flag", ["--data.batchsize=64", "--data.binarize=dynmic", "--data.batch_size=few"])
def test_the_command_line_refuses_what_is_not_an_option(flag: str) -> None:
    with pytest.raises(jsonargparse.ArgumentError):
        parser().parse_args(["--data=Digits", flag])
