"""Lists and verifies models."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from sara_ros.core import SaraError
from sara_ros.policies.checkpoint import list_models
from sara_ros.policies.loading import verify


def show_models(models_dir: Path) -> bool:
    """Print a table of the models below ``models_dir`` and return whether all are good."""
    table = Table('model', 'kind', 'attention', 'rate', 'observations', 'weights', 'verified')
    entries = list_models(models_dir)
    good = True
    for entry in entries:
        try:
            stored = verify(models_dir, entry.model_id)
        except SaraError as err:
            good = False
            table.add_row(entry.model_id, *[''] * 5, f'[red]{err}')
            continue
        spec = stored.checkpoint.spec
        table.add_row(
            entry.model_id,
            spec.kind,
            str(spec.attention.get('backend', '')),
            f'{spec.action.rate_hz:g} Hz',
            ', '.join(need.name for need in spec.observations),
            f'{stored.weights["size_bytes"] / 1e6:.1f} MB',
            '[green]yes',
        )
    console = Console()
    console.print(table if entries else f'{models_dir} holds no models')
    return good
