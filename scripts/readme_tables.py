"""Write the tables of README.md from docs/*.json and the models, between their markers."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
import re
import sys
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STAGES = {
    'transport': 'sensor stamp to receipt; the simulator stamps a picture before it draws it',
    'sync_wait': 'decoding, and until cameras and joints of the same instant are there',
    'preprocess': 'resize, check, filter',
    'inference': 'the model',
    'queue_wait': 'until the command period',
    'publish': 'guard and message',
}


def timing_table(report: Mapping[str, Any]) -> str:
    """Return where the time of a command goes, by policy, as a Markdown table."""
    policies = list(report['by_policy'])
    lines = [
        '| Stage, p50 / p95 ms | ' + ' | '.join(f'`{name}`' for name in policies) + ' | |',
        '|---' * (len(policies) + 2) + '|',
    ]
    for stage, meaning in STAGES.items():
        cells = [_pair(report['by_policy'][name]['stages_ms'][stage]) for name in policies]
        lines.append(f'| {stage} | {" | ".join(cells)} | {meaning} |')
    for key, label in (
        ('sensor_to_command_ms', 'sensor to command'),
        ('sensor_to_command_minus_inference_ms', 'the same without inference'),
    ):
        cells = [_pair(report['by_policy'][name][key]) for name in policies]
        lines.append(f'| **{label}** | {" | ".join(cells)} | |')
    return '\n'.join(lines)


def models_table(models: Path) -> str:
    """Return what is known of every model, as a Markdown table."""
    lines = [
        '| Model | Sees | Returns | Measured | Size |',
        '|---|---|---|---|---|',
    ]
    for path in sorted(models.glob('*/policy.json')):
        policy = json.loads(path.read_text(encoding='utf-8'))
        spec = policy['spec']
        names = ', '.join(f'`{need["name"]}`' for need in spec['observations'])
        returns = (
            f'{len(spec["action"]["dimensions"])} numbers at {spec["action"]["rate_hz"]:g} Hz'
        )
        size = f'{policy["weights"]["size_bytes"] / 1e6:.1f} MB'
        link = f'[`{spec["model_id"]}`](models/{spec["model_id"]})'
        lines.append(f'| {link} | {names} | {returns} | {_measured(policy["metrics"])} | {size} |')
    return '\n'.join(lines)


def fill(text: str, name: str, table: str) -> str:
    """Return ``text`` with what stands between the markers of ``name`` replaced."""
    pattern = re.compile(rf'(<!-- {name} -->\n).*?(<!-- /{name} -->)', re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f'README.md has no markers <!-- {name} --> and <!-- /{name} -->')
    return pattern.sub(lambda match: f'{match[1]}{table}\n{match[2]}', text)


def render(text: str) -> str:
    """Return README.md with all its tables written anew."""
    for name in ('demo', 'demo-real'):
        report = json.loads((ROOT / 'docs' / f'{name}.json').read_text(encoding='utf-8'))
        table = f'{timing_table(report)}\n\n{_conditions(report, name)}'
        text = fill(text, f'timing of {name}', table)
    success = ROOT / 'docs' / 'success.json'
    if success.exists():
        text = fill(text, 'success', _success(json.loads(success.read_text(encoding='utf-8'))))
    return fill(text, 'models', models_table(ROOT / 'models'))


def main() -> int:
    """Update README.md."""
    readme = ROOT / 'README.md'
    readme.write_text(render(readme.read_text(encoding='utf-8')), encoding='utf-8')
    return 0


def _pair(values: Mapping[str, Any]) -> str:
    if values['p50'] is None:
        return '-'
    return f'{values["p50"]:.1f} / {values["p95"]:.1f}'


def _conditions(report: Mapping[str, Any], name: str) -> str:
    machine, commands, frames = report['machine'], report['commands'], report['frames']
    return (
        f'`make {name}` on {machine["cpu"]}, {machine["logical_cores"]} cores shared by all '
        f'processes: {commands["count"]} commands at {commands["rate_hz"]:.1f} Hz, '
        f'{commands["holds"]} of them holds, {frames["lost"]} of {frames["published"]} camera '
        f'frames lost, first command {report["first_command_sec"]:.1f} s after the start.\n'
        f'Source: [`docs/{name}.json`](docs/{name}.json).'
    )


def _success(result: Mapping[str, Any]) -> str:
    from sara_ros.evaluation.success_page import LEGEND, success_table

    table = success_table(result, ('standard', 'harder'))
    return f'{table}\n\n{LEGEND}\nEvery task and variation: [`docs/success.md`](docs/success.md).'


def _measured(metrics: Mapping[str, Any]) -> str:
    closed = metrics.get('closed_loop')
    if closed:
        low, high = closed['ci95']
        verbs = ', '.join(
            f'{verb} {row["success"]:.0%}' for verb, row in closed['per_verb'].items()
        )
        return (
            f'closed loop {closed["success"]:.1%} of {closed["episodes"]} episodes '
            f'({low:.1%} to {high:.1%}): {verbs}'
        )
    if 'mean_absolute_error' in metrics:
        others = ', '.join(
            f'{name.replace("_", " ")} {error:.4f}' for name, error in metrics['baselines'].items()
        )
        return (
            f'mean absolute error {metrics["mean_absolute_error"]:.4f} on '
            f'{metrics["held_out_frames"]} held-out frames ({others})'
        )
    return '-'


if __name__ == '__main__':
    sys.exit(main())
