"""One model on one recording, as a process of its own can run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError, Policy
from sara_ros.core.errors import describe
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.replay.contender import Contender, facts_of, load
from sara_ros.evaluation.replay.messages import Source
from sara_ros.evaluation.replay.page_data import PageData, page_data
from sara_ros.evaluation.replay.places import Place
from sara_ros.evaluation.replay.predictions import write_predictions
from sara_ros.evaluation.replay.remarks import remarks_of
from sara_ros.evaluation.replay.replay import Replayed, ReplaySettings, Watch, replay
from sara_ros.evaluation.replay.scores import scores_of
from sara_ros.evaluation.replay.training_data import trained_on, training_mean


@dataclass(frozen=True, slots=True)
class Job:
    """
    What to replay, and what to keep of it.

    :param rate_hz: rate that deadline misses are counted at; 0: the command rate of the model.
    :param mcap: folder for the predictions; None writes none.
    """

    place: Place
    contender: Contender
    models_dir: Path
    settings: ReplaySettings = field(default_factory=ReplaySettings)
    rate_hz: float = 0.0
    device: str = 'cpu'
    threads: int = 1
    mcap: Path | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """
    The JSON of one replay, what a page shows of it, and what a live run is compared with.

    :param instructions: what the runs followed; from ``instruction_topic`` where that is named.
    :param topics: topic by the name of the observation.
    :param chunks: values ``(horizon, dimensions)`` by the stamp of the observation behind them.
    :param seen: stamp of each observation by its name, by the same stamp.
    """

    report: dict[str, Any]
    page: PageData
    instructions: tuple[str, ...] = ()
    instruction_topic: str = ''
    topics: dict[str, str] = field(default_factory=dict)
    chunks: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    seen: dict[int, dict[str, int]] = field(default_factory=dict)


def run_job(job: Job, watch: Watch = lambda done, total: None) -> JobResult:
    """
    Replay and score; ``watch`` is as for :func:`replay`.

    :raises SaraError: naming the recording and what is wrong with it or with the model.
    """
    source = job.place.open()
    policy = load(job.models_dir, job.contender, job.device, job.threads)
    return play(job, source, policy, watch)


def play(
    job: Job, source: Source, policy: Policy, watch: Watch = lambda done, total: None
) -> JobResult:
    """Do what :func:`run_job` does, with a recording that is open and a policy that is loaded."""
    spec, training = policy.spec, _training(job, policy)
    mean = training_mean(job.place, spec, training, job.settings.known.training_mean)
    replayed = replay(source, policy, job.settings, watch)
    scores = scores_of(replayed, job.rate_hz or spec.action.rate_hz, mean.given)
    remarks = remarks_of(replayed)
    if scores['error']['compared']:
        about = (mean.remark, trained_on(job.place, spec, training))
        remarks += [f'{source.name}: {each}' for each in about if each]
    report = {
        'bag': _bag(replayed),
        'model': facts_of(policy, job.contender),
        'instructions': list(replayed.instructions),
        'latency_ms': job.settings.latency_ms,
        **scores,
        'problems': [each.text(source.name) for each in replayed.trace.problems],
        'remarks': remarks,
    }
    if job.mcap is not None:
        path = job.mcap / f'{source.name}.{job.contender.name}.mcap'
        try:
            write_predictions(replayed, job.contender.name, path)
        except OSError as err:
            raise ParameterError(f'--mcap: cannot write {path}: {describe(err)}') from err
        report['predictions'] = path.name
    trace = replayed.trace
    return JobResult(
        report,
        page_data(replayed, job.contender.name),
        replayed.instructions,
        replayed.instruction_topic,
        replayed.topics,
        dict(zip(trace.chunk_stamps_ns, trace.chunks, strict=True)),
        trace.seen,
    )


def _training(job: Job, policy: Policy) -> Mapping[str, Any]:
    """Return what the checkpoint says of its training; empty where nothing was trained."""
    if not policy.spec.learned:
        return {}
    from sara_ros.policies import checkpoint as checkpoints

    return checkpoints.read(job.models_dir, job.contender.model_id).checkpoint.training


def _bag(replayed: Replayed) -> dict[str, Any]:
    source = replayed.source
    uses = {topic: name for name, topic in replayed.topics.items()}
    uses.update(dict.fromkeys(replayed.recorded.topics, 'recorded action'))
    start_ns, end_ns = replayed.span_ns
    return {
        'name': source.name,
        'kind': source.kind,
        'start_ns': start_ns,
        'span_sec': round((end_ns - start_ns) / NS, 6),
        'topics': [
            {'name': each.name, 'type': each.type, 'count': each.count,
             'used_as': uses.get(each.name, '')}
            for each in source.topics if not each.problem
        ],
        'skipped': [
            {'name': each.name, 'type': each.type, 'count': each.count, 'problem': each.problem}
            for each in source.topics if each.problem
        ],
        'notes': list(source.notes),
        'broken': replayed.broken or source.unread,
    }  # fmt: skip
