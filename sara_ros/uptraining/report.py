"""What a conversion did to each attention layer of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_HEADER = ('layer', 'before', 'after', 'converted', 'reason')


@dataclass(frozen=True, slots=True)
class LayerReport:
    """
    What became of one attention layer.

    :param name: path of the layer's module in the model, as in ``named_modules``.
    :param before: attention backend of the layer before the conversion.
    :param after: its backend now; equal to ``before`` where nothing was converted.
    :param converted: whether the layer has the new backend.
    :param reason: why it was not converted, or what to know about a layer that was; may be empty.
    """

    name: str
    before: str
    after: str
    converted: bool
    reason: str = ''


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What was converted to ``backend``, and what was not and why, layer by layer."""

    backend: str
    layers: tuple[LayerReport, ...]

    @property
    def converted(self) -> tuple[LayerReport, ...]:
        """The layers that have the new backend."""
        return tuple(layer for layer in self.layers if layer.converted)

    @property
    def left(self) -> tuple[LayerReport, ...]:
        """The layers that were left as they were."""
        return tuple(layer for layer in self.layers if not layer.converted)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        return {'backend': self.backend, 'layers': [asdict(layer) for layer in self.layers]}

    def __str__(self) -> str:
        """Return the layers as a table, one line each, and the count below."""
        rows = [_HEADER, *(_cells(layer) for layer in self.layers)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
        lines = [
            '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        count = len(self.converted)
        total = f'{count} of {len(self.layers)} layers have {self.backend!r} now'
        return '\n'.join([*lines, total if count else 'no layer was converted'])


def _cells(layer: LayerReport) -> tuple[str, ...]:
    said = 'yes' if layer.converted else 'no'
    return layer.name, layer.before, layer.after, said, layer.reason
