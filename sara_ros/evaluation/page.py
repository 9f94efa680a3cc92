"""Pages of one HTML file that needs nothing else, and what they have in common."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
import hashlib
from importlib import resources
from typing import Any, Final

from sara_ros.evaluation.formatting import number
from sara_ros.evaluation.markup import Html, data_uri, joined, table, tag
from sara_ros.evaluation.plots import STAGE_COLORS

POLICY: Final = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
"""Content security policy: the browser refuses whatever is not inside the file."""

STAGE_TEXTS: Final = {
    'transport': 'sensor stamp to receipt by the policy node',
    'sync_wait': 'receipt to the observation being complete and taken up',
    'preprocess': 'decoding, resizing, filtering',
    'inference': 'the model itself',
    'queue_wait': "chunk ready to the action's turn in the queue",
    'publish': 'safety limits, building and publishing the message',
}


def page(title: str, *content: object, script: str = '') -> str:
    """Return a whole page; ``script`` is the only one that the browser will run."""
    style = Html((resources.files(__package__) / 'report.css').read_text(encoding='utf-8'))
    head = tag(
        'head',
        tag('meta', charset='utf-8'),
        tag('meta', http_equiv='Content-Security-Policy', content=_policy(script)),
        tag('meta', name='viewport', content='width=device-width, initial-scale=1'),
        tag('title', title),
        tag('style', style),
    )
    code = tag('script', Html(script)) if script else Html()
    body = tag('body', tag('main', *content), code)
    return '<!doctype html>\n' + tag('html', head, body, lang='en') + '\n'


def _policy(script: str) -> str:
    if not script:
        return POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{POLICY}; script-src 'sha256-{digest}'"


def card(title: str, *content: object) -> Html:
    """Return a section with a heading."""
    return tag('section', tag('h2', title), *content, class_='card')


def figure(name: str, value: object, detail: str) -> Html:
    """Return one key figure, to stand in a ``dl`` of the class ``figures``."""
    text = tag('dd', detail, class_='detail')
    return tag('div', tag('dt', name), tag('dd', value), text, class_='card')


def with_unit(value: float | None, unit: str) -> Html:
    """Return a figure with a small unit."""
    return joined((number(value), ' ', tag('small', unit)))


def tail_of(percentiles: Mapping[str, Any]) -> str:
    """Return p95, p99 and maximum in words."""
    values = [f'{name} {number(percentiles[name])}' for name in ('p95', 'p99', 'max')]
    return ', '.join(values) + ' ms'


def picture(light: bytes, dark: bytes, text: str) -> Html:
    """Return a PNG in the colours that the reader's screen asks for."""
    return tag(
        'picture',
        tag(
            'source',
            srcset=data_uri('image/png', dark),
            media='screen and (prefers-color-scheme: dark)',
        ),
        tag('img', src=data_uri('image/png', light), alt=text),
    )


def stage_table(
    caption: str, stages: Mapping[str, Mapping[str, Any]], total: Mapping[str, Any]
) -> Html:
    """Return the percentiles of every stage, and of their sum in the last row."""
    heads = ('Stage', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms')
    rows: list[Sequence[object]] = [_stage(name, values) for name, values in stages.items()]
    cells = ('sensor-to-command', *percentile_cells(total))
    return table(caption, heads, [*rows, tuple(tag('b', cell) for cell in cells)], numbers=4)


def percentile_cells(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return p50, p95, p99 and maximum as cells of a table."""
    return tuple(number(values[name], 2) for name in ('p50', 'p95', 'p99', 'max'))


def _stage(name: str, percentiles: Mapping[str, Any]) -> tuple[object, ...]:
    color = STAGE_COLORS.get(name, 'transparent')
    swatch = tag('span', class_='swatch', style=f'background:{color}')
    label = tag('abbr', name.replace('_', ' '), title=STAGE_TEXTS.get(name, ''))
    return (joined((swatch, label)), *percentile_cells(percentiles))
