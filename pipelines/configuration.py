"""The configuration of a training, parsed and made into objects by LightningCLI."""

import io
import warnings
from argparse import ArgumentError
from contextlib import redirect_stderr
from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import lit_ae.variants  # noqa: F401 - makes the variants known by name
from data import LitData
from lit_ae.module import LitAutoencoder
from pipelines.command_line import Request
from pipelines.mistakes import explained
from pipelines.options import GROUPS
from pipelines.store import notice_dead_servers

TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "inference_mode": False,  # validation may differentiate, as a contractive variant does
    "use_distributed_sampler": False,  # the loader shares rows among processes itself
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
}


class CommandLine(LightningCLI):
    """LightningCLI with our groups of options; the data's spec is handed to the model."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.spec", "model.init_args.spec", apply_on="instantiate")
        for name, group in GROUPS.items():
            parser.add_class_arguments(group, name)

    def option(self, group: str) -> Any:
        """The object that holds a group's options."""
        return self.config_init[group]

    @property
    def resolved(self) -> str:
        """The whole configuration as YAML, such that ``--config`` repeats the training."""
        return self.parser.dump(self.config, skip_none=False, skip_link_targets=True)


def configure(request: Request) -> CommandLine:
    """Data, model and a trainer without logger, made from the request.

    Raises:
        UserError: for a value that can't be, in one sentence.
    """
    notice_dead_servers()  # a part of the model may be fetched from one
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CommandLine(
                LitAutoencoder,
                LitData,
                subclass_mode_model=True,
                subclass_mode_data=True,
                run=False,
                args=request.arguments,
                save_config_callback=None,
                auto_configure_optimizers=False,  # the model has its own
                trainer_defaults={**TRAINER_DEFAULTS, "logger": False, "enable_checkpointing": True},
                seed_everything_default=0,
                parser_kwargs={"exit_on_error": False},
            )
    except (ArgumentError, MisconfigurationException, ValueError, TypeError) as error:
        raise explained(error) from error


def trainer_of(line: CommandLine, **changes: Any) -> L.Trainer:
    """A Trainer with the configured options and some changed; callbacks come beside configured ones.

    Raises:
        UserError: for options that Lightning refuses, such as a GPU that is not there.
    """
    try:
        return line.instantiate_trainer(**changes)
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise explained(error) from error
