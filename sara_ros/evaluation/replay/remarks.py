"""What a newcomer should know about a replay before reading its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from sara_ros.core.instructions import doubt_about
from sara_ros.core.listing import listed
from sara_ros.evaluation.formatting import one_line
from sara_ros.evaluation.replay.mapping import FORMS
from sara_ros.evaluation.replay.messages import at
from sara_ros.evaluation.replay.replay import Replayed
from sara_ros.evaluation.replay.scores import reference_times_ns

CLOCK_REASONS: Final = ('late', 'future')


def remarks_of(replayed: Replayed) -> list[str]:
    """Return a line for everything that makes the numbers mean less than they seem to."""
    return [one_line(f'{replayed.source.name}: {text}') for text in _remarks(replayed)]


def dropped(result: Mapping[str, Any]) -> str:
    """Return what a result says of drops: counts by reason, with the topics that are known."""
    parts = []
    for reason, count in result['dropped'].items():
        topics = result['dropped_on'].get(reason, [])
        parts.append(f'{count} {reason}' + (f' ({", ".join(topics)})' if topics else ''))
    return ', '.join(parts)


def idle(result: Mapping[str, Any]) -> str:
    """Return why the policy of a result chose no action; empty when it did."""
    if result['commands']:
        return ''
    dropped = ', '.join(f'{count} {reason}' for reason, count in result['dropped'].items())
    text = (
        f'the policy chose no action: {result["observations"]} observations, '
        f'dropped: {dropped or "none"}'
    )
    if any(reason in CLOCK_REASONS for reason in result['dropped']):
        text += "; where a recording's clock is not that of its stamps, clock: header in the map"
    return text


def _remarks(replayed: Replayed) -> Iterator[str]:
    for topic, (came, announced) in replayed.missing.items():
        yield f"topic '{topic}' should hold {announced} messages and gave {came}"
    for each in replayed.instructions:
        if doubt := doubt_about(each, replayed.trace.spec.instructions):
            yield doubt
    if not replayed.recorded.topics:
        yield f'no recorded action is compared: {_candidates(replayed)}'
    elif replayed.trace.chosen.any() and not replayed.broken:
        yield from _unmatched(replayed)


def _unmatched(replayed: Replayed) -> Iterator[str]:
    recorded = replayed.recorded
    times_ns = reference_times_ns(replayed)
    if np.isfinite(recorded.at(times_ns)).any():
        return
    yield (
        f"no recorded action of '{', '.join(recorded.topics)}' can be compared: those of the "
        f'policy are meant for {at(int(times_ns.min()))} to {at(int(times_ns.max()))}, and none '
        'was read near these stamps; see tolerance_sec and align in the map'
    )


def _candidates(replayed: Replayed) -> str:
    used = set(replayed.topics.values())
    types = {kind for each in FORMS.values() for kind in each}
    found = [each.name for each in replayed.source.topics
             if each.type in types and each.name not in used]  # fmt: skip
    if not found:
        return 'no topic is left that could hold it'
    return f'it may be in {listed(found)}; name it under actions in the map'
