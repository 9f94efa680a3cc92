"""Up-train models to every backend beside one softmax control, and write the page in docs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json
import math
from pathlib import Path
import shutil
import sys
from typing import Any, Final

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError, SaraError
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.files import write_json, write_text
from sara_ros.uptraining.pipeline import uptrain
from sara_ros.uptraining.record import RECORD_FILE
from sara_ros.uptraining.settings import UptrainConfig

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = 'uptraining'
BACKENDS: Final = ('sara', 'taylor', 'performer', 'hedgehog', 'window+linear', 'uniform')
MEAN, WINDOW, WINDOW_MAP = 'uniform', 'window+linear', 'sara'
STAGES: Final = ('converted', 'transferred', 'finetuned')
_INTRODUCTION: Final = f"""# Up-training: what is left of the quality

Held-out task loss and action error (mean absolute, in % of each range) after each phase.
The control is the same softmax model with the same extra steps, batches and learning rates.
Made by `.venv/bin/python benchmarks/uptraining.py`; source: [`{PAGE}.json`]({PAGE}.json)."""
WITHIN: Final = 1.02
"""Loss over that of the softmax control up to which a backend counts as keeping quality."""


def run(options: argparse.Namespace, out: Path) -> list[dict[str, Any]]:
    """Up-train each model to each backend that has the form it needs, and return the records."""
    records = []
    for model in options.models:
        shutil.copytree(options.models_dir / model, out / 'models' / model, dirs_exist_ok=True)
        for backend in options.backends:
            config = UptrainConfig(
                model, backend, out / 'models', options.work / model,
                transfer_steps=options.transfer_steps, finetune_steps=options.finetune_steps,
                held_out=options.held_out, threads=options.threads,
                command=' '.join(['benchmarks/uptraining.py', model]),
            )  # fmt: skip
            print(f'{model} to {backend}')
            try:
                with progress_bar() as bar:
                    uptrain(config, bar)
            except ParameterError as err:
                if 'form' not in str(err):
                    raise
                print(f'left out: {err}')
                records.append(
                    {'parent': {'model_id': model}, 'backend': backend, 'why': str(err)}
                )
                continue
            record = json.loads((config.folder / RECORD_FILE).read_text(encoding='utf-8'))
            del record['curves']  # thousands of numbers that stay in the model's folder
            records.append({'backend': backend, **record})
    return records


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the Markdown page of the records."""
    lines = [_INTRODUCTION]
    models = dict.fromkeys(record['parent']['model_id'] for record in records)
    for model in models:
        own = [record for record in records if record['parent']['model_id'] == model]
        weights = {record['parent'].get('sha256', '')[:8] for record in own} - {''}
        lines += ['', f'## `{model}`', '', f'Weights `{"`, `".join(sorted(weights))}`.', '']
        lines += [*_table(own), '', *_verdicts(own)]
    return '\n'.join(lines) + '\n'


def _table(records: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        '| Backend | convert only | after transfer | after fine-tuning | loss / control |',
        '|---|---|---|---|---|',
    ]
    measured = [record for record in records if 'held_out' in record]
    if measured:
        first = measured[0]['held_out']
        lines.append(f'| softmax, the parent | {_error(first["softmax"])} | | | |')
        lines.append(f'| softmax control | | | {_error(first["softmax_control"])} | 1 |')
    for record in records:
        errors = record.get('held_out')
        if errors is None:
            lines.append(f'| `{record["backend"]}` | no such form | | | |')
            continue
        cells = [_error(errors[stage]) if stage in errors else '-' for stage in STAGES]
        lines.append(f'| `{record["backend"]}` | {" | ".join(cells)} | {_ratio(errors):.3f} |')
    return lines


def _verdicts(records: Sequence[Mapping[str, Any]]) -> list[str]:
    ratios = {r['backend']: _ratio(r['held_out']) for r in records if 'held_out' in r}
    kept = [f'`{name}`' for name, ratio in ratios.items() if ratio <= WITHIN]
    lost = [f'`{name}` ({ratio:.3f})' for name, ratio in ratios.items() if ratio > WITHIN]
    lines = [
        f'Within 2 % of the control: {", ".join(kept) or "none"}.',
        f'Not within 2 %: {", ".join(lost) or "none"}.',
    ]
    if ratios.get(MEAN, math.inf) <= WITHIN:
        lines.append(
            f'`{MEAN}` gives every token the same weight and is within 2 % as well: the loss of '
            'single frames cannot tell how far this model needs attention; success can.'
        )
    return lines + _window_gain(ratios)


def _window_gain(ratios: Mapping[str, float]) -> list[str]:
    """Say what an exact window adds to the linear map that it uses for the rest."""
    if not {WINDOW, WINDOW_MAP} <= ratios.keys():
        return []
    gain = 100 * (ratios[WINDOW_MAP] - ratios[WINDOW])
    return [f'The exact window of `{WINDOW}` buys {gain:.2f} points of loss over `{WINDOW_MAP}`.']


def _ratio(errors: Mapping[str, Any]) -> float:
    return float(errors['finetuned']['loss'] / errors['softmax_control']['loss'])


def _error(error: Mapping[str, Any]) -> str:
    return f'{error["loss"]:.4f}, {100 * error["action_error"]:.2f} %'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything that is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--models', nargs='+', default=['rt2-tabletop', 'pct-tabletop'])
    parser.add_argument('--backends', nargs='+', default=list(BACKENDS))
    parser.add_argument('--transfer-steps', type=int, default=200)
    parser.add_argument('--finetune-steps', type=int, default=600)
    parser.add_argument('--held-out', type=int, default=1000, help='frames to measure on')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--models-dir', type=Path, default=package_folder('models'))
    parser.add_argument('--work', type=Path, default=Path('out/train'))
    parser.add_argument('--out', type=Path, default=Path('out/uptraining'))
    parser.add_argument('--docs', type=Path, default=ROOT / 'docs')
    options = parser.parse_args(arguments)
    try:
        records = run(options, options.out)
    except SaraError as err:
        print(err, file=sys.stderr)
        return 2
    write_json(options.docs / f'{PAGE}.json', {'schema': 'sara_ros.uptraining/1', 'rows': records})
    write_text(options.docs / f'{PAGE}.md', page(records))
    print(options.docs / f'{PAGE}.md')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
