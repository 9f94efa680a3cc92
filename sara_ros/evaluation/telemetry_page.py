"""An exported session as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sara_ros.core.health import Level
from sara_ros.evaluation.files import write_text
from sara_ros.evaluation.formatting import NONE, number
from sara_ros.evaluation.history_plot import history_png
from sara_ros.evaluation.markup import Html, badge, joined, table, tag
from sara_ros.evaluation.page import (
    card,
    figure,
    page,
    percentile_cells,
    picture,
    stage_table,
    tail_of,
    with_unit,
)
from sara_ros.evaluation.plots import DARK, timing_png
from sara_ros.evaluation.samples import command_rate_hz, percentiles_of, summarise
from sara_ros.evaluation.telemetry_session import Event, TelemetrySession

BADGES: Final = {
    Level.OK: ('ok', 'good'),
    Level.WARN: ('warning', 'amber'),
    Level.ERROR: ('error', 'bad'),
    Level.STALE: ('stale', 'blue'),
}
MOST_EVENTS: Final = 400


def write_telemetry_page(session: TelemetrySession, path: Path) -> None:
    """Write the page of ``session`` to ``path``."""
    latency = summarise(session.samples)
    write_text(
        path,
        page(
            f'sara_ros session, {session.name}',
            _header(session),
            _figures(session, latency),
            _timing(session, latency),
            _history(session),
            _events(session.events),
            _counts(session),
            _facts(session.facts),
        ),
    )


def _header(session: TelemetrySession) -> Html:
    facts = session.facts
    models = list(dict.fromkeys(sample.model_id for sample in session.samples))
    told = ' · '.join(filter(None, (
        str(facts.get('policy', '')), str(facts.get('created', '')), ', '.join(models),
    )))  # fmt: skip
    return tag(
        'header', tag('h1', f'Session {session.name}'), tag('p', told or NONE, class_='dim')
    )


def _figures(session: TelemetrySession, latency: Mapping[str, Any]) -> Html:
    last = session.moments[-1] if session.moments else None
    total, rest = latency['sensor_to_command_ms'], latency['sensor_to_command_minus_inference_ms']
    ages = percentiles_of(each.observation_age_p95_ms for each in session.moments)
    cpu = percentiles_of(each.cpu_percent for each in session.moments)
    memory = percentiles_of(each.memory_mib for each in session.moments)
    missed = last.counts['deadline misses'] if last else 0
    commands = f'{latency["commands"]} commands, {latency["holds"]} holds, '
    figures = (
        ('Command rate', with_unit(command_rate_hz(session.samples), 'Hz'),
         f'{commands}{missed} deadline misses'),
        ('Sensor-to-command, p50', with_unit(total['p50'], 'ms'), tail_of(total)),
        ('Minus inference, p50', with_unit(rest['p50'], 'ms'), tail_of(rest)),
        ('Observation age, p95', with_unit(ages['p50'], 'ms'),
         f'highest of a window {number(ages["max"])} ms'),
        ('CPU of the policy', with_unit(cpu['p50'], '%'),
         f'of one core, p95 {number(cpu["p95"])} %'),
        ('Memory of the policy', with_unit(memory['p50'], 'MiB'),
         f'largest {number(memory["max"])} MiB'),
    )  # fmt: skip
    return tag('dl', *(figure(*each) for each in figures), class_='figures')


def _timing(session: TelemetrySession, latency: Mapping[str, Any]) -> Html:
    if not session.samples:
        return Html()
    excluded = f'{latency["warm_up_excluded"]} warm-up commands and {latency["holds"]}'
    samples = session.samples
    text = 'Median of each stage, and latency of each command'
    plots = picture(timing_png(samples), timing_png(samples, DARK), text)
    stages = stage_table(
        f'{excluded} holds are counted, not timed.',
        latency['stages_ms'],
        latency['sensor_to_command_ms'],
    )
    heads = ('Model', 'Commands', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms', 'Inference p50 ms')
    rows = [
        (tag('code', model), facts['commands'], *percentile_cells(facts['sensor_to_command_ms']),
         number(facts['stages_ms']['inference']['p50'], 2))
        for model, facts in latency['by_policy'].items()
    ]  # fmt: skip
    return card('Timing', plots, stages, table('Sensor-to-command by model', heads, rows, 6))


def _history(session: TelemetrySession) -> Html:
    if not session.moments:
        return Html()
    light = history_png(session.moments, session.events)
    dark = history_png(session.moments, session.events, DARK)
    text = 'Command rate, latency, process and counters over the session'
    return card('Over time', picture(light, dark, text))


def _events(events: Sequence[Event]) -> Html:
    if not events:
        return Html()
    rows = [
        (number(event.time_sec, 2), event.what, badge(*BADGES[event.level]), event.text)
        for event in events[:MOST_EVENTS]
    ]
    left = len(events) - len(rows)
    caption = f'{left} more are left out.' if left else ''
    return card('What happened', table(caption, ('Time s', '', '', ''), rows))


def _counts(session: TelemetrySession) -> Html:
    if not session.moments:
        return Html()
    drops = list(session.moments[-1].drops.items()) or [('none', 0)]
    topics = [(tag('code', topic), count) for topic, count in session.messages.items()]
    caption = 'Since the latest activation of the policy'
    return tag(
        'div',
        card('Messages exported', table('', ('Topic', 'Messages'), topics, numbers=1)),
        card('Observations dropped', table(caption, ('Reason', 'Count'), drops, numbers=1)),
        class_='two',
    )


def _facts(facts: Mapping[str, Any]) -> Html:
    machine = [(name, value) for name, value in facts.get('machine', {}).items() if value]
    if not machine:
        return Html()
    heads = ('', 'Written', 'Held', 'Lost', 'Failures')
    rows = [
        (
            joined((name,)),
            *(counts.get(key, NONE) for key in ('written', 'held', 'lost', 'failures')),
        )
        for name, counts in facts.get('export', {}).items()
    ]
    return tag(
        'div',
        card('Machine', table('', ('', ''), machine)),
        card('Export', table('As of the end of the export', heads, rows, numbers=4)),
        class_='two',
    )
