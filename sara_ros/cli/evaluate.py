"""Measures the closed-loop success of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sara_ros.cli.train import progress_bar
from sara_ros.evaluation.closed_loop import EvaluationConfig, evaluate
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.machine import describe_machine
from sara_ros.policies.checkpoint import add_metrics


def evaluate_model(
    models_dir: Path,
    model_id: str,
    *,
    attention_backend: str,
    episodes: int,
    processes: int,
    json_path: Path | None,
    record: bool,
) -> dict[str, Any]:
    """Run all episodes, print a table, and write JSON and metrics where asked."""
    config = EvaluationConfig(
        models_dir, model_id, attention_backend, episodes=episodes, processes=processes
    )
    result = evaluate(config, progress_bar())
    _print(result)
    if json_path is not None:
        write_json(json_path, {**result, 'machine': describe_machine()})
    if record:
        add_metrics(models_dir, model_id, {'closed_loop': result})
    return result


def _print(result: dict[str, Any]) -> None:
    table = Table('task', 'success', 'episodes', '95 % interval')
    for verb, row in {**result['per_verb'], 'all': result}.items():
        low, high = row['ci95']
        table.add_row(
            verb, f'{row["success"]:.1%}', str(row['episodes']), f'{low:.1%} - {high:.1%}'
        )
    Console().print(table)
