"""Bags to a LeRobot v2.1 folder, which appears when it is complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
import json
import os
from pathlib import Path
import shutil
from typing import Any, Final

import av
from rich.progress import Progress

from sara_ros.core import ParameterError
from sara_ros.core.errors import describe
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.dataset.collector import Collector, RecordedLabels, Tally
from sara_ros.evaluation.dataset.plan import (
    DatasetOptions,
    Plan,
    check_rate,
    motion_frame,
    plan_of,
    recorded_sources,
    tolerance_sec,
)
from sara_ros.evaluation.dataset.writer import DatasetWriter
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.lerobot_source import is_lerobot
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.messages import BagError, Source, at
from sara_ros.evaluation.replay.recorded_actions import RecordedActions
from sara_ros.evaluation.replay.replay import Replayed, ReplaySettings, Watch, replay
from sara_ros.training.progress import running

SOURCE_FILE: Final = 'meta/source.json'


@dataclass(frozen=True, slots=True)
class BagResult:
    """What a bag gave."""

    source: Source
    replayed: Replayed
    tally: Tally

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        tally, trace = self.tally, self.replayed.trace
        return {
            'bag': self.source.name,
            'kind': self.source.kind,
            'topics': dict(self.replayed.topics),
            'actions': list(self.replayed.recorded.topics),
            'images': trace.received,
            'rate_hz': round(tally.rate_hz, 3),
            'episodes': [each.index for each in tally.episodes],
            'frames': tally.frames,
            'repeated': tally.repeated,
            'held': tally.held,
            'unused': tally.unused,
            'without_action': tally.without_action,
            'dropped': dict(trace.drops),
            'gaps': [
                {'after': at(stamp_ns), 'sec': round(gap_ns / NS, 3)}
                for stamp_ns, gap_ns in tally.gaps_ns
            ],
            'notes': list(self.source.notes),
            'problems': [each.text(self.source.name) for each in trace.problems],
        }


def convert(
    bags: Sequence[Path],
    out: Path,
    options: DatasetOptions,
    *,
    stated: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Write ``out`` and return what it holds, which also stands in its ``meta/source.json``.

    The first bag says which cameras, joints and actions there are; the others must have them too.
    Messages are read as the policy node would receive them, and pictures go straight into the
    videos, so memory holds numbers only.

    :param stated: what else to write into ``meta/source.json``.
    :raises SaraError: naming the bag, the topic and the stamp; ``out`` is then not there.
    """
    sources = [_opened(path) for path in bags]
    plan = plan_of(sources[0], options)
    with running(progress) as bar, _building(out) as partial:
        writer = DatasetWriter(
            partial, fps=plan.fps, joints=plan.joints, actions=plan.spec.action.names,
            cameras=plan.cameras, frame=plan.spec.action.frame,
        )  # fmt: skip
        with writer:
            results = [_converted(each, plan, writer, _watch(bar, each.name)) for each in sources]
        writer.finish()
        report = _report(plan, writer, results)
        text = json.dumps({**report, **(stated or {})}, indent=1, ensure_ascii=False)
        (partial / SOURCE_FILE).write_text(text + '\n', encoding='utf-8')
    return report


def _opened(path: Path) -> Source:
    if is_lerobot(path):
        raise ParameterError(f'{path.name} is a LeRobot folder already; name bags')
    bag = Bag(path)
    if bag.unread:
        raise BagError(f'{bag.unread}; `mcap recover` writes a file of what comes before')
    return bag


def _converted(source: Source, plan: Plan, writer: DatasetWriter, watch: Watch) -> BagResult:
    known = _known(source, plan)
    collector = Collector(plan, _labels(source, plan, known), writer)
    try:
        replayed = replay(source, collector, ReplaySettings(known), watch)
    except BagError:
        if collector.error is None:
            raise
        if isinstance(collector.error, OSError | av.FFmpegError):
            raise collector.error from None
        topic = plan.known.topics[plan.cameras[0]]
        raise ParameterError(
            f"{source.name}: topic '{topic}', {describe(collector.error)}"
        ) from collector.error
    collector.reset()
    if replayed.broken:
        raise BagError(replayed.broken)
    result = BagResult(source, replayed, collector.tally)
    if not result.tally.episodes:
        raise ParameterError(_nothing(result))
    return result


def _known(source: Source, plan: Plan) -> ReplayMap:
    """Return the map with the actions of this bag, which are then no state of it."""
    known = plan.known
    sources = recorded_sources(source, known, plan.spec.action.kind)
    check_rate(source, sources, plan.fps)
    frame = motion_frame(source, sources)
    if frame != plan.spec.action.frame:
        raise ParameterError(
            f"{source.name}: topic '{sources[0].topic}' records motion in frame '{frame}', the "
            f"bag before in '{plan.spec.action.frame}'; make a data set of each"
        )
    apart_sec = known.tolerance_sec or tolerance_sec(source, sources, plan.fps)
    return replace(known, actions=sources, tolerance_sec=apart_sec)


def _labels(source: Source, plan: Plan, known: ReplayMap) -> RecordedLabels:
    """Read every action ahead, so that a frame's is known when its picture comes."""
    spec = plan.spec.action
    recorded = RecordedActions(spec, known.actions, known)
    for message in source.messages(recorded.topics):
        try:
            recorded.add(message.topic, message.read(), message.log_ns)
        except Exception:  # the replay meets and counts it again
            continue
    return RecordedLabels(recorded, spec, plan)


def _nothing(result: BagResult) -> str:
    facts = result.to_dict()
    counts = ', '.join(f'{count} {name}' for name, count in facts['dropped'].items())
    first = next(iter(facts['problems']), '')
    return (
        f'{result.source.name}: no frame can be kept of {facts["images"]} pictures: '
        f'{facts["without_action"]} without a recorded action ({", ".join(facts["actions"])}), '
        f'dropped: {counts or "none"}' + (f'; {first}' if first else '')
    )


def _report(plan: Plan, writer: DatasetWriter, results: Sequence[BagResult]) -> dict[str, Any]:
    constant = [name for name in plan.spec.action.names if name not in plan.given]
    return {
        'fps': plan.fps,
        'cameras': list(plan.cameras),
        'state': list(plan.joints),
        'action': list(plan.spec.action.names),
        'constant': constant,
        'episodes': len(writer.episodes),
        'frames': sum(each.frames for each in writer.episodes),
        'bags': [each.to_dict() for each in results],
    }


def _watch(bar: Progress, name: str) -> Watch:
    task = bar.add_task(name, total=None)
    return lambda done, total: bar.update(task, completed=done + 1, total=total)


@contextmanager
def _building(out: Path) -> Iterator[Path]:
    """Yield a folder beside ``out`` that takes its name when the block succeeds."""
    if out.exists():
        raise ParameterError(f'{out} is there already; name a folder that is not')
    partial = out.with_name(f'.{out.name}.{os.getpid()}.partial')
    try:
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, out)
    except (OSError, av.FFmpegError) as err:
        raise ParameterError(f'{out} cannot be written: {err}; nothing is left of it') from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)


__all__ = ['SOURCE_FILE', 'BagResult', 'convert']
