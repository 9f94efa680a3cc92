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
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ('model', 'kind', 'attention', 'rate', 'weights'):
        table.add_column(name, no_wrap=True)
    table.add_column('sees')
    entries, broken = list_models(models_dir), []
    for entry in entries:
        try:
            stored = verify(models_dir, entry.model_id)
        except SaraError as err:
            broken.append(str(err))
            continue
        spec = stored.checkpoint.spec
        table.add_row(
            entry.model_id,
            spec.kind,
            str(spec.attention.get('backend', '')),
            f'{spec.action.rate_hz:g} Hz',
            f'{stored.weights["size_bytes"] / 1e6:.1f} MB',
            ', '.join(need.name for need in spec.observations),
        )
    console = Console()
    if not entries:
        console.print(f'{models_dir} holds no models')
        return True
    console.print(table)
    for text in broken:
        console.print(text, style='red', markup=False)
    console.print(f'{len(entries) - len(broken)} of {len(entries)} models verified')
    return not broken
