"""The demo on recordings of real sensors, played through the same live nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from sara_ros.cli.demo import available
from sara_ros.cli.stage import Assignment, Stage
from sara_ros.core import ParameterError
from sara_ros.evaluation.recordings import DepthScenes, RecordedSimulation, Recording, RobotVideo
from sara_ros.evaluation.session import Source
from sara_ros.nodes import qos

G1_EPISODE: Final = 10
"""Held out when rt2-g1 was trained."""
SIMULATED_INSTRUCTION: Final = 'place the red block on the disc'


@dataclass(frozen=True, slots=True)
class Part:
    """A recording, the parameters of the player that plays it, and the policy that sees it."""

    policy: str
    recording: Recording
    player: Mapping[str, Any]


def run_demo_real(out: Path, data: Path) -> Path:
    """
    Play every recording below ``data`` and return the path of the page that tells of them.

    Without the folder a recorded simulation takes its place, and the report says so.

    :raises SaraError: when a process dies or does not do what it is asked.
    """
    parts, notes = _parts(data)
    with Stage('demo-real', out, len(parts)) as stage:
        stage.log.notes += notes
        for note in notes:
            stage.view.note(note)
        for index, part in enumerate(parts):
            _Playback(stage, part, f'player_{index + 1}').run()
    return stage.report()


def _parts(data: Path) -> tuple[list[Part], list[str]]:
    notes = ['Recordings are open loop: actions do not change what comes next; none is judged.']
    parts = [part for part in (_robot_video(data), _scenes(data)) if part is not None]
    if not parts:
        notes.append(f"'{data}' holds no recordings; a recorded simulation is played instead.")
        parts = [_simulation('rt2-tabletop'), _simulation('pct-tabletop')]
    for part in parts:
        if not available(part.policy):
            notes.append(f"{part.recording.name} was left out: models/ holds no '{part.policy}'.")
    playable = [part for part in parts if available(part.policy)]
    if not playable:
        raise ParameterError('models/ holds no model for any recording; train one first')
    return playable, notes


def _robot_video(data: Path) -> Part | None:
    folder = data / 'g1_bottle'
    if not folder.is_dir():
        return None
    recording = RobotVideo(folder, G1_EPISODE)
    return Part('rt2-g1', recording, {
        'recording': 'lerobot', 'folder': str(folder.resolve()), 'episode': G1_EPISODE,
    })  # fmt: skip


def _scenes(data: Path) -> Part | None:
    folder = data / 'scenes'
    if not folder.is_dir():
        return None
    return Part('pct-tabletop', DepthScenes(folder), {
        'recording': 'scenes', 'folder': str(folder.resolve()),
    })  # fmt: skip


def _simulation(policy: str) -> Part:
    return Part(policy, RecordedSimulation(SIMULATED_INSTRUCTION, seed=1), {
        'recording': 'simulation', 'instruction': SIMULATED_INSTRUCTION,
    })  # fmt: skip


class _Playback:
    """One recording on its way through the graph."""

    def __init__(self, stage: Stage, part: Part, player: str) -> None:
        self._stage = stage
        self._part = part
        self._player = player
        self._progress = DiagnosticStatus()
        self._asked = False
        node = stage.client.node
        self._play = node.create_client(Trigger, f'{player}/play')
        self._subscription = node.create_subscription(
            DiagnosticStatus, f'{player}/progress', self._on_progress, qos.LATCHED
        )

    def run(self) -> None:
        stage, part = self._stage, self._part
        stage.children.start(self._player, part.player, module='player')
        stage.load(part.policy, {'static_transforms': part.recording.transforms or ['']})
        stage.client.wait_until(
            lambda: self._progress.message == 'ready', 'start of the player', 60.0
        )
        assignment = Assignment(part.policy, part.recording.instruction)
        while not self._finished:
            stage.begin(assignment)
            result = stage.client.run(
                assignment.instruction,
                timeout_sec=0.0,
                while_running=lambda: self._watch(assignment),
            )
            stage.finish(assignment, result, success=None)
        stage.client.unload()
        stage.children.end(self._player)
        self._note_source()

    @property
    def _finished(self) -> bool:
        return self._progress.message == 'finished'

    def _watch(self, assignment: Assignment) -> bool:
        if not self._asked:
            self._asked = True
            self._play.call_async(Trigger.Request())
        self._stage.show(assignment, 'running')
        return not self._finished

    def _on_progress(self, message: DiagnosticStatus) -> None:
        self._progress = message

    def _note_source(self) -> None:
        log, recording = self._stage.log, self._part.recording
        for each in self._progress.values:
            log.messages_in[each.key] = log.messages_in.get(each.key, 0) + int(each.value)
            log.sources.append(
                Source(
                    name=recording.name,
                    kind=recording.kind,
                    topic=each.key,
                    messages=int(each.value),
                    rate_hz=recording.rate_hz,
                    licence=recording.licence,
                    note=recording.note,
                )
            )
