"""The tour of hot swap: models come and go over real ROS 2 while the arm moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import shutil
import time
from typing import Any, Final

from sara_ros.cli.demo_swap_models import (
    OTHER_SENSORS,
    POISONED,
    ROUNDED,
    SERVED,
    TAMPERED,
    make_models,
)
from sara_ros.cli.report import newest_session, render_session
from sara_ros.cli.simulated_graph import SimulatedGraph, simulated_graph
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.exporter import CSV_FILE
from sara_ros.evaluation.files import write_bytes, write_json, write_text
from sara_ros.evaluation.graph_view import render_svg
from sara_ros.evaluation.swap_timeline import timeline_png
from sara_ros.evaluation.swap_tour import StateChange, TourStep, read_commands, tour_report
from sara_ros.launching import TABLETOP_BOX
from sara_ros.nodes.command_recorder import CommandRecorder
from sara_ros.nodes.graph_watch import GraphWatch
from sara_ros.nodes.model_operator import ModelOperator
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros_msgs.msg import ShadowReport

REPORT_FILE: Final = 'report.json'
PLOT_FILE: Final = 'timeline.png'
TOP_FILE: Final = 'top.svg'
PAGE_FILE: Final = 'session.html'
INSTRUCTION: Final = 'push the green block to the disc'
POISONED_INSTRUCTION: Final = 'push the blue block to the disc'
SEED: Final = 900_002
SETTLING_SEC: Final = 2.0
"""Commands before the first change, so that there is something to compare with."""
PAUSE_SEC: Final = 0.8
ASK_AGAIN_SEC: Final = 1.0
POLICY: Final = {'swap_trial_chunks': 40}
MANAGER: Final = {'shadow_window_chunks': 60, 'export_flush_sec': 0.5}


def run_demo_swap(out: Path, *, show: Callable[[str], None] = print) -> Path:
    """
    Make the tour and return the path of ``report.json`` below ``out``.

    :param show: receives what happens, line by line.
    :raises SaraError: when a process ends or does not answer; what a change of model leads to is
        told in the report, whatever it is.
    """
    started_sec = time.monotonic()
    telemetry, models = out / 'telemetry', out / 'models'
    shutil.rmtree(telemetry, ignore_errors=True)
    make_models(package_folder('models'), models)
    folder = {'models_dir': str(models.resolve())}
    export = {'export_dir': str(telemetry.resolve())}
    with simulated_graph(
        out / 'logs', policy={**POLICY, **folder}, manager={**MANAGER, **folder, **export}
    ) as graph:
        graph.client.load({'model': SERVED, 'workspace': TABLETOP_BOX})
        graph.client.reset_scene(SEED, INSTRUCTION)
        with GraphWatch('policy', 'model_manager', domain_id=graph.domain_id) as watch:
            tour = _Tour(graph, show)
            tour.begin()
            write_text(out / TOP_FILE, render_svg(watch.status()))
            tour.end()
        graph.client.unload()
        rate_hz = tour.rate_hz
    shutil.rmtree(models)
    session = newest_session(telemetry)
    report = tour_report(
        read_commands(session / CSV_FILE),
        tour.steps,
        tour.changes,
        rate_hz=rate_hz,
        duration_sec=time.monotonic() - started_sec,
    )
    write_json(out / REPORT_FILE, report)
    write_bytes(out / PLOT_FILE, timeline_png(report))
    render_session(session, out / PAGE_FILE)
    return out / REPORT_FILE


class _Tour:
    """An operator who changes models one after the other, and notes what comes of it."""

    def __init__(self, graph: SimulatedGraph, show: Callable[[str], None]) -> None:
        self._client = graph.client
        self._show = show
        self._recorder = CommandRecorder(graph.client.node)
        self._operator = ModelOperator(graph.client, self._keep_running)
        self._instruction = INSTRUCTION
        self._instructed_sec = 0.0
        self.steps: list[TourStep] = []

    @property
    def rate_hz(self) -> float:
        """Command rate of the models."""
        return float(self._recorder.status.rate_hz)

    @property
    def changes(self) -> list[StateChange]:
        """Every state of every change."""
        return [
            StateChange(to_ns(each.header.stamp) / NS, each.state, each.message)
            for each in self._operator.statuses
        ]

    def begin(self) -> None:
        """Make all changes but the last."""
        self._operator.wait_for_manager()
        self._operator.wait_until(
            lambda: len(self._recorder.samples) > SETTLING_SEC * self.rate_hz > 0, 'commands', 30.0
        )
        self._swap('softmax to sara', 'active', attention_backend='sara')
        self._rollback('back on request')
        self._swap('a model with other sensors', 'refused', model_id=OTHER_SENSORS)
        self._swap('weights changed on disk', 'refused', model_id=TAMPERED)
        self._shadow('taylor, never trained, as a shadow', attention_backend='taylor')
        self._shadow('weights in fp16, as a shadow', model_id=ROUNDED)
        self._swap(
            f"a model that returns NaN at a word, then '{POISONED_INSTRUCTION}'", 'rolled_back',
            model_id=POISONED, then=POISONED_INSTRUCTION,
        )  # fmt: skip

    def end(self) -> None:
        """Return to the model of the beginning."""
        self._rollback('back on request')

    def _swap(self, label: str, expected: str, *, then: str = '', **request: str) -> None:
        """Ask for a model, follow another instruction once it acts, and wait for the end."""
        seen, asked_sec = len(self._operator.statuses), self._now_sec()
        answer = self._operator.swap(**request)
        if answer.success and then:
            self._instruction = then
            self._instruct()
        self._note(label, _call('swap_model', request), expected, asked_sec, seen, answer)

    def _rollback(self, label: str) -> None:
        seen, asked_sec = len(self._operator.statuses), self._now_sec()
        answer = self._operator.rollback()
        self._note(label, 'rollback {}', 'rolled_back', asked_sec, seen, answer)

    def _shadow(self, label: str, **request: str) -> None:
        """Let a model watch, and do with it what the rule says."""
        seen, reports = len(self._operator.statuses), len(self._operator.reports)
        asked_sec = self._now_sec()
        answer = self._operator.shadow(**request)
        call = _call('swap_model', {**request, 'shadow': 'true'})
        if not answer.success:
            self._note(label, call, 'shadow', asked_sec, seen, answer)
            return
        report = self._operator.verdict(request.get('model_id') or SERVED, reports)
        self._add(TourStep(
            label, call, 'shadow', asked_sec, self._now_sec(), answer.state, report.message,
            answer.active_model_id, _shadow_facts(report),
        ))  # fmt: skip
        promote = report.verdict == 'promote'
        seen, asked_sec = len(self._operator.statuses), self._now_sec()
        answer = self._operator.end_shadow(promote=promote, reason='by the report')
        label, expected = (
            ('the shadow takes over', 'active') if promote else ('the shadow goes', 'discarded')
        )
        call = f'end_shadow {{promote: {str(promote).lower()}}}'
        self._note(label, call, expected, asked_sec, seen, answer)

    def _note(
        self, label: str, request: str, expected: str, asked_sec: float, seen: int, answer: Any
    ) -> None:
        """Add a step once it is over."""
        state, message, active = 'refused', answer.message, answer.active_model_id
        if answer.success:
            status = self._operator.settled(seen)
            state, message, active = status.state, status.message, status.active.model_id
        self._add(TourStep(
            label, request, expected, asked_sec, self._now_sec(), state, message, active,
        ))  # fmt: skip

    def _add(self, step: TourStep) -> None:
        self.steps.append(step)
        self._show(f'{len(self.steps)}. {step.label}: {step.state}: {step.message}')
        if step.shadow is not None:
            return  # what is done about it follows at once
        over_sec = time.monotonic() + PAUSE_SEC
        self._operator.wait_until(lambda: time.monotonic() > over_sec, 'a pause', 30.0)

    def _keep_running(self) -> None:
        """Begin the next run when the policy has ended one, as it does when it succeeds."""
        due = time.monotonic() - self._instructed_sec > ASK_AGAIN_SEC
        if due and not self._recorder.status.instruction:
            self._instruct()

    def _instruct(self) -> None:
        self._instructed_sec = time.monotonic()
        self._operator.instruct(self._instruction)

    def _now_sec(self) -> float:
        return self._client.now_ns() / NS


def _call(service: str, fields: dict[str, str]) -> str:
    return f'{service} {{{", ".join(f"{name}: {value}" for name, value in fields.items())}}}'


def _shadow_facts(report: ShadowReport) -> dict[str, Any]:
    return {
        'verdict': report.verdict,
        'chunks': int(report.chunks),
        'skipped': int(report.skipped),
        'p95_difference_share': round(report.p95_difference_share, 5),
        'p95_difference': {
            name: round(value, 6)
            for name, value in zip(report.dimension_names, report.p95_difference, strict=True)
        },
        'active_p95_ms': round(report.active_latency.p95_ms, 2),
        'candidate_p95_ms': round(report.candidate_latency.p95_ms, 2),
    }
