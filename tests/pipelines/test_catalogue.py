"""Names, options and help read from source text alone."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lit_ae.errors import UserError
from pipelines.catalogue import (
    CORRUPTIONS,
    DATA_SETS,
    FAMILIES,
    LEARNING_RATES,
    LIKELIHOODS,
    NETWORKS,
    OPTIMIZERS,
    SCHEDULES,
    VARIANTS,
    Catalogue,
    flatten,
)

ROOT = Path(__file__).parents[2]
OWN = {"recipe": "A recipe's name.", "resume": "Continue the run of this id.", "early_stopping.patience": "Epochs."}

TREE = {
    "lit_ae/module.py": '''
class LitAutoencoder(Described, L.LightningModule):
    """The base.

    Args:
        spec: from the data.
        latent_dim: numbers in a code, such as
            ``16``.
        network: encoder and decoder.
    """

    def __init__(
        self, spec, latent_dim: int = 16, network: Callable[[DataSpec, Sizes], Network] = MLP,
        corruption: Callable[[DataSpec], Corruption] | None = None, optimizer: OptimizerCallable = Adam
    ):
        pass

    @abstractmethod
    def terms(self): ...
''',
    "lit_ae/variants/plain.py": '''
class Autoencoder(LitAutoencoder):
    """Squeezes x (Hinton et al. 2006) and more.  Second sentence."""
    def __init__(self, spec, latent_dim: int = 16, network: Callable[[DataSpec, Sizes], Network] = MLP): ...
    def terms(self): ...
''',
    "lit_ae/variants/vae.py": '''
class _Generative(LitAutoencoder):
    def terms(self): ...
class Unfinished(LitAutoencoder):
    """Has no terms."""
class VAE(_Generative):
    """A VAE."""
    def __init__(self, spec, *, beta: "float | Schedule" = 1.0, mode: Mode = "a", **kwargs: Any):
        """Makes it.

        Args:
            beta: weight of :class:`~lit_ae.terms.KL`, in ``nats``.
        """
class Open(VAE, Mixin):
    """From elsewhere too."""
''',
    "lit_ae/networks/base.py": """
Mode = Literal["a", "b"]
class Network(nn.Module, ABC): ...
class MLP(Network):
    def __init__(self, spec, sizes, hidden: list[int] = [8], mode: Mode | None = None): ...
class Conv(Network):
    def __init__(self, spec, sizes, channels: list[int] = [8]): ...
""",
    "lit_ae/schedules.py": """
class Schedule(Described): ...
@dataclass
class Cyclical(Schedule):
    period: float = 5.0
""",
    "lit_ae/corruptions.py": """
class Corruption(ABC): ...
class Noise(Corruption):
    def __init__(self, spec, sigma: float): ...
""",
    "data/base.py": "class LitData(L.LightningDataModule):\n    def __init__(self, batch_size: int = 8): ...\n",
    "data/mnist.py": 'class MNIST(LitData):\n    """Digits."""\n    def __init__(self, side: int = 28, **kw): ...\n',
    "pipelines/recipes/vae_digits.yaml": "# A VAE on digits.\nmodel: VAE\n",
}


@pytest.fixture
def fake(tmp_path: Path) -> Catalogue:
    for name, text in TREE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Catalogue(tmp_path)


@pytest.fixture(scope="module")
def real() -> Catalogue:
    return Catalogue(ROOT)


def test_lists_public_concrete_classes_that_derive_from_the_base(fake: Catalogue) -> None:
    assert list(fake.variants) == ["Autoencoder", "Open", "VAE"]
    assert list(fake.data_sets) == ["MNIST"]
    assert list(fake.members(NETWORKS)) == ["Conv", "MLP"]
    assert fake.members(LIKELIHOODS) == {}


def test_keyword_arguments_take_in_the_bases_parameters(fake: Catalogue) -> None:
    assert list(fake.variants["VAE"].parameters) == ["beta", "mode", "latent_dim", "network", "corruption", "optimizer"]
    assert list(fake.variants["Autoencoder"].parameters) == ["latent_dim", "network"]
    assert list(fake.data_sets["MNIST"].parameters) == ["side", "batch_size"]
    assert list(fake.members(SCHEDULES)["Cyclical"].parameters) == ["period"]


def test_help_comes_from_either_docstring_without_markup(fake: Catalogue) -> None:
    parameters = fake.variants["VAE"].parameters
    assert parameters["beta"].help == "weight of KL, in nats."
    assert parameters["latent_dim"].help == "numbers in a code, such as 16."
    assert parameters["latent_dim"].default == "16"
    assert fake.members(CORRUPTIONS)["Noise"].parameters["sigma"].default is None
    assert fake.members(NETWORKS)["MLP"].parameters["mode"].annotation == "Literal['a', 'b'] | None"
    assert fake.variants["Autoencoder"].summary == "Squeezes x (Hinton et al. 2006) and more."


MISTAKES = [
    ([("model", "VEA")], "Unknown variant 'VEA': did you mean VAE? Known: Autoencoder, Open, VAE."),
    ([("model", "vae")], "Unknown variant 'vae': did you mean VAE? Known: Autoencoder, Open, VAE."),
    ([("model", "Zzz")], "Unknown variant 'Zzz'. Known: Autoencoder, Open, VAE."),
    (
        [("model.class_path", "lit_ae.VEA")],
        "Unknown variant 'lit_ae.VEA': did you mean VAE? Known: Autoencoder, Open, VAE.",
    ),
    ([("data", "MNITS")], "Unknown data set 'MNITS': did you mean MNIST? Known: MNIST."),
    ([("model.network", "Cnov")], "Unknown network 'Cnov': did you mean Conv? Known: Conv, MLP."),
    (
        [("model", "Autoencoder"), ("model.latent_dims", "8")],
        "Autoencoder has no option 'latent_dims': did you mean --model.latent_dim?",
    ),
    (
        [("model.class_path", "lit_ae.Autoencoder"), ("model.init_args.beta", "4")],
        "Autoencoder has no option 'beta': see --help Autoencoder.",
    ),
    (
        [("model", "Autoencoder"), ("model.channels", "[8]")],
        "Autoencoder has no option 'channels': did you mean --model.network.channels?",
    ),
    (
        [("model.network", "Conv"), ("model.network.hidden", "[8]")],
        "Conv has no option 'hidden': see --help Conv.",
    ),
    (
        [("model.network.chanels", "[8]")],
        "No network has an option 'chanels': did you mean --model.network.channels?",
    ),
    ([("data", "MNIST"), ("data.batchsize", "8")], "MNIST has no option 'batchsize': did you mean --data.batch_size?"),
    ([("trainer.max_epoch", "8")], "Trainer has no option 'max_epoch': did you mean --trainer.max_epochs?"),
    ([("trainr.max_epochs", "8")], "Unknown option --trainr.max_epochs: did you mean --trainer.max_epochs?"),
    ([("max_epochs", "8")], "Unknown option --max_epochs: did you mean --trainer.max_epochs?"),
    ([("batch_size", "8")], "Unknown option --batch_size: did you mean --data.batch_size?"),
    ([("recipes", "x")], "Unknown option --recipes: did you mean --recipe?"),
    ([("patience", "8")], "Unknown option --patience: did you mean --early_stopping.patience?"),
    (
        [("early_stopping.patiense", "8")],
        "Unknown option --early_stopping.patiense: did you mean --early_stopping.patience?",
    ),
    ([("qqq", "x")], "Unknown option --qqq: see --help."),
]


@pytest.mark.parametrize(("options", "sentence"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_mistake_is_answered_with_the_nearest_right_name(fake: Catalogue, options: list, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        fake.check(options, OWN)
    assert str(error.value) == sentence


VALID = [
    [
        ("recipe", "vae_digits"),
        ("resume", None),
        ("early_stopping.patience", "3"),
        ("early_stopping", "e.yaml"),
        ("seed_everything", "1"),
    ],
    [("model", "VAE"), ("model.latent_dim", "8"), ("model.network", "Conv"), ("model.network.channels", "[8,16]")],
    [("model.class_path", "lit_ae.variants.vae.VAE"), ("model.init_args.network.init_args.hidden", "[8]")],
    [("model", "VAE"), ("model.beta", "0.5"), ("model.beta", "Cyclical"), ("model.beta.period", "2")],
    [("model", "VAE"), ("model.corruption", "null"), ("model.mode", "a"), ("model.latent_dim", "8")],
    [("model", "Open"), ("model.whatever", "1")],
    [("model", "mypkg.MyVAE"), ("model.whatever", "1"), ("data", "theirs.yaml"), ("data.whatever", "1")],
    [("model", "VAE"), ("model.network", "theirs.Net"), ("model.network.depth", "3")],
    [("model", "VAE"), ("model.optimizer", "Adagrad"), ("model.optimizer.lr_decay", "0")],
    [("model", "VAE"), ("model.optimizer", "torch.optim.SGD"), ("model.optimizer.momentum", "0.9")],
    [("config", "runs:/1/config.yaml"), ("model.whatever", "1"), ("trainer.max_epochs", "3")],
    [("model", "VAE"), ("model.beta", "2"), ("model", "Autoencoder"), ("model.latent_dim", "8")],
    [("model.dict_kwargs.x", "1"), ("model.help", None), ("print_config", None), ("trainer.callbacks+", "[]")],
    [("model", '{"class_path": "VAE"}'), ("model.x", "1"), ("trainer", "t.yaml"), ("trainer.logger.save_dir", "d")],
]


@pytest.mark.parametrize("options", VALID, ids=str)
def test_what_is_right_or_uncertain_passes(fake: Catalogue, options: list[tuple[str, str | None]]) -> None:
    assert fake.check(options, OWN) is None


def test_a_recipe_is_checked_like_the_command_line(fake: Catalogue) -> None:
    recipe = yaml.safe_load("""
        seed_everything: 1
        model:
          init_args: {latent_dim: 8, network: {init_args: {channels: [8]}, class_path: Conv}, corruption: null}
          class_path: lit_ae.VAE
        data: {class_path: MNIST, init_args: {}}
    """)
    options = list(flatten(recipe))
    assert options == [
        ("seed_everything", "1"),
        ("model.class_path", "lit_ae.VAE"),
        ("model.init_args.latent_dim", "8"),
        ("model.init_args.network.class_path", "Conv"),
        ("model.init_args.network.init_args.channels", "[8]"),
        ("model.init_args.corruption", "null"),
        ("data.class_path", "MNIST"),
        ("data.init_args", None),
    ]
    fake.check(options, {})
    with pytest.raises(UserError, match=r"VAE has no option 'betta': did you mean --model\.beta\?"):
        fake.check([*options, ("model.betta", "4")], {})


NAMES = st.text("abc", min_size=1)


@given(st.dictionaries(NAMES, st.integers() | st.dictionaries(NAMES, st.none())))
def test_flatten_keeps_every_leaf(section: dict) -> None:
    leaves = sum(max(1, len(value)) if isinstance(value, dict) else 1 for value in section.values())
    assert len(list(flatten(section))) == leaves


def test_help_page_names_everything(fake: Catalogue) -> None:
    page = fake.help_text(OWN)
    for name in ("VAE", "MNIST", "Conv", "Cyclical", "AdamW", "vae_digits", *OWN):
        assert name in page
    assert "  vae_digits  A VAE on digits.\n" in page
    assert "Networks (--model.network CLASS)" in page
    assert "Likelihoods" not in page
    assert max(map(len, page.splitlines())) <= 100


def test_help_on_one_class_shows_flags_types_and_defaults(fake: Catalogue) -> None:
    page = fake.help_text_of("vae")
    assert "  --model.beta FLOAT | Cyclical  (default 1.0)\n      weight of KL, in nats.\n" in page
    assert "--model.network Conv | MLP  (default MLP)" in page
    assert "--model.corruption Noise | null  (default None)" in page
    assert "--model.network.mode a | b | None  (default None)" in fake.help_text_of("MLP")
    assert "--model.corruption.sigma FLOAT  (required)" in fake.help_text_of("Noise")
    assert "--trainer.max_epochs " in fake.help_text_of("trainer")
    with pytest.raises(UserError, match=r"Nothing is called 'VEA': did you mean VAE\?"):
        fake.help_text_of("VEA")


def test_every_page_of_the_project_fits_the_width(real: Catalogue) -> None:
    names = [name for family in FAMILIES for name in real.members(family)]
    assert {"VAE", "Autoencoder", "MNIST", "Digits", "MLP", "Conv", "AdamW", "SGD"} <= set(names)
    for page in [real.help_text(OWN), *map(real.help_text_of, [*names, "trainer"])]:
        assert max(map(len, page.splitlines())) <= 100


def test_every_parameter_of_the_project_is_explained(real: Catalogue) -> None:
    entries = [entry for family in FAMILIES if family is not OPTIMIZERS for entry in real.members(family).values()]
    unexplained = [f"{entry.name}.{p.name}" for entry in entries for p in entry.parameters.values() if not p.help]
    assert [entry.name for entry in entries if not entry.summary] == []
    assert unexplained == []
    assert not any(entry.is_open for entry in entries)


def test_the_source_says_what_the_parser_says(real: Catalogue) -> None:
    """jsonargparse, which imports the classes, is the oracle."""
    from jsonargparse import ArgumentParser

    homes = {
        VARIANTS: "lit_ae.variants",
        DATA_SETS: "data",
        NETWORKS: "lit_ae.networks",
        LIKELIHOODS: "lit_ae.likelihoods",
        CORRUPTIONS: "lit_ae.corruptions",
        SCHEDULES: "lit_ae.schedules",
        LEARNING_RATES: "lit_ae.optimization",
    }
    for family, module in homes.items():
        for name, entry in real.members(family).items():
            parser = ArgumentParser(exit_on_error=False)
            parser.add_class_arguments(getattr(import_module(module), name), skip={"spec", "sizes"})
            assert set(entry.parameters) == set(parser.get_defaults().as_dict()), name


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from pathlib import Path; from pipelines.catalogue import Catalogue\n"
        "page = Catalogue(Path()).help_text({})\n"
        "heavy = {'torch', 'lightning', 'mlflow', 'numpy'} & set(sys.modules)\n"
        "assert 'VAE' in page and not heavy, heavy\n"
        "assert time.perf_counter() - start < 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_alias_means_what_it_means_in_the_file_of_the_class():
    annotation = {
        name: Catalogue(ROOT).data_sets[name].parameters["source"].annotation for name in ("Sensors", "NetworkTraffic")
    }
    assert "SKAB" in annotation["Sensors"]
    assert "KDDTest-21" in annotation["NetworkTraffic"]
