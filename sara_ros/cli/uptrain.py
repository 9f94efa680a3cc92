"""Up-trains a model to another attention backend and prints what it cost."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from sara_ros.cli.train import progress_bar, without_places
from sara_ros.core import ParameterError
from sara_ros.uptraining.distributed import launched
from sara_ros.uptraining.pipeline import UptrainResult, uptrain
from sara_ros.uptraining.settings import UptrainConfig

_ROWS: Final = {
    'softmax': 'softmax',
    'softmax_control': 'softmax control',
    'converted': 'converted',
    'transferred': 'transferred',
    'finetuned': 'fine-tuned',
}


def uptrain_model(options: Namespace, models_dir: Path, command: str) -> None:
    """
    Run what the command line says; process 0 prints the held-out errors and where things are.

    :raises ParameterError: for a value that cannot be used.
    """
    config = UptrainConfig(
        options.model, options.backend, models_dir,
        options.work or Path('out/train') / options.model,
        name=options.new_name,
        options=parse_options(options.option),
        layers=parse_layers(options.layers),
        transfer_steps=options.transfer_steps,
        finetune_steps=options.finetune_steps,
        batch=options.batch,
        learning_rate=options.lr,
        seed=options.seed,
        lora=options.lora,
        frames=options.frames,
        held_out=options.held_out,
        data=options.data,
        threads=options.threads,
        command=without_places(command),
    )  # fmt: skip
    with launched(options.device) as here:
        result = uptrain(config, progress_bar(), here)
        if here.is_main:
            _print(result)


def _print(result: UptrainResult) -> None:
    console = Console()
    console.print(str(result.report), f'transfer: {result.transferred}', sep='\n')
    console.print(table(result))
    print(f'record: {result.folder}')
    print(f'model: {result.model}')


def table(result: UptrainResult) -> Table:
    """Return the errors of each variant, and their ratios to those of the softmax control."""
    control = result.variants.get('softmax_control')
    title = 'Held-out errors, and their ratios to the softmax control'
    rows = Table('variant', 'loss', 'ratio', 'action error', 'ratio', title=title)
    for name, words in _ROWS.items():
        error = result.variants.get(name)
        if error is None:
            rows.add_row(words, '-', '-', '-', '-')
            continue
        rows.add_row(
            words,
            f'{error.loss:.4f}',
            '-' if control is None else f'{error.loss / control.loss:.3f}',
            f'{error.action_error:.2%} of range',
            '-' if control is None else f'{error.action_error / control.action_error:.3f}',
        )
    return rows


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """
    Return ``key=value`` pairs as backend options; numbers, true and false as such.

    :raises ParameterError: for a pair without ``=``, and for a key that repeats.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition('=')
        if not key or not equals:
            raise ParameterError(f"--option is '{pair}'; write it as key=value")
        if key in options:
            raise ParameterError(f"--option '{key}' is given twice")
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options


def parse_layers(text: str) -> tuple[int, ...] | None:
    """
    Return ``0,2`` as indices; ``None`` for an empty text, which means all.

    :raises ParameterError: for anything but whole numbers and commas.
    """
    if not text:
        return None
    try:
        return tuple(int(part) for part in text.split(','))
    except ValueError:
        raise ParameterError(f"--layers is '{text}'; give indices such as 0,2") from None
