"""The demo: policies move a simulated arm over real ROS 2, with their timing on screen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
import time
from typing import Final

from sara_ros.cli.children import ChildError
from sara_ros.cli.stage import Assignment, Stage
from sara_ros.core import SCRIPTED_EXPERT
from sara_ros.core.resources import package_folder
from sara_ros.launching import TABLETOP_BOX
from sara_ros_msgs.action import RunPolicy

EPISODE_TIMEOUT_SEC: Final = 12.0
LINGER_SEC: Final = 1.0
"""How long a policy that succeeded may go on before its run is ended."""

PLAN: Final = (
    Assignment('rt2-tabletop', 'reach the red block', 900_001),
    Assignment('rt2-tabletop', 'push the green block to the disc', 900_002),
    Assignment('rt2-tabletop', 'lift the blue block', 900_003),
    Assignment('rt2-tabletop', 'place the yellow block on the disc', 900_004),
    Assignment('pct-tabletop', 'reach the yellow block', 900_005),
    Assignment('pct-tabletop', 'push the red block to the disc', 900_006),
    Assignment(SCRIPTED_EXPERT, 'place the green block on the disc', 900_007),
)
"""Seeds lie outside those of training, of DAgger and of checkpoint choice."""


def run_demo(out: Path, plan: Sequence[Assignment] = PLAN, *, bag: bool = False) -> Path:
    """
    Run every episode of ``plan`` and return the path of the page that tells of them.

    :param bag: also record a bag for ``sara-ros replay``, beside the page.
    :raises SaraError: when a process dies or does not do what it is asked; everything that was
        started is stopped first.
    """
    todo = [each for each in plan if available(each.policy)]
    with Stage('demo', out, len(todo), bag=bag) as stage:
        stage.children.start('simulator')
        stage.log.notes += [
            f"'{each.instruction}' was left out: models/ holds no '{each.policy}'"
            for each in plan
            if each not in todo
        ]
        for policy, group in groupby(todo, key=lambda each: each.policy):
            stage.load(policy, {'workspace': TABLETOP_BOX})
            for assignment in group:
                _run_episode(stage, assignment)
            stage.client.unload()
    return stage.report()


def available(model_id: str) -> bool:
    """Tell whether a policy can be loaded."""
    if model_id == SCRIPTED_EXPERT:
        return True
    return (package_folder('models') / model_id / 'policy.json').is_file()


def _run_episode(stage: Stage, assignment: Assignment) -> None:
    recorder, client = stage.recorder, stage.client
    client.reset_scene(assignment.seed or 0, assignment.instruction)
    client.wait_until(lambda: not recorder.success, 'reset of the scene', 5.0)
    stage.begin(assignment)
    succeeded_sec: list[float] = []

    def go_on() -> bool:
        stage.show(assignment, 'success' if recorder.success else 'running')
        if recorder.success and not succeeded_sec:
            succeeded_sec.append(time.monotonic())
        return not succeeded_sec or time.monotonic() - succeeded_sec[0] < LINGER_SEC

    try:
        result = client.run(
            assignment.instruction, timeout_sec=EPISODE_TIMEOUT_SEC, while_running=go_on
        )
    except ChildError as err:
        raise ChildError(
            f"'{assignment.instruction}' was not finished: {err}\n"
            'Without commands the arm holds still.'
        ) from err
    ended_here = result.termination_reason == RunPolicy.Result.CANCELED
    note = f'ended {LINGER_SEC:g} s after success' if ended_here else ''
    stage.finish(assignment, result, success=recorder.success, note=note)
