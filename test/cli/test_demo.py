"""The demo with the scripted expert: real processes, real topics, a real report."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
from threading import Thread
import time

import pytest

from sara_ros.cli import demo
from sara_ros.cli.children import ChildError
from sara_ros.cli.stage import Assignment
from sara_ros.core import SCRIPTED_EXPERT
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.replay.contender import Contender
from sara_ros.evaluation.replay.job import Job, run_job
from sara_ros.evaluation.replay.places import Place

REACH = Assignment(SCRIPTED_EXPERT, 'reach the red block', 3)
PLACE = Assignment(SCRIPTED_EXPERT, 'place the green block on the disc', 7)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_report_holds_what_happened(tmp_path: Path) -> None:
    plan = [REACH, Assignment('no-such-model', 'lift the red block', 1)]
    page = demo.run_demo(tmp_path, plan, bag=True)
    report = json.loads((tmp_path / 'report.json').read_text())

    assert page.read_text().startswith('<!doctype html>')
    assert report['ros']['distro']
    assert report['ros']['rmw'] == 'rmw_fastrtps_cpp'
    assert {each['name'] for each in report['processes']} == {
        'simulator', 'policy', 'model_manager',
    }  # fmt: skip
    [episode] = report['episodes']
    assert episode['instruction'] == REACH.instruction
    assert episode['policy'] == SCRIPTED_EXPERT
    assert episode['learned'] is False
    assert episode['success'] is True
    assert episode['steps'] > 5
    assert report['commands']['count'] >= episode['steps']
    assert 10 < report['commands']['rate_hz'] < 30
    assert 0 < report['sensor_to_command_ms']['p50'] <= report['sensor_to_command_ms']['p99']
    assert isinstance(report['dropped'], dict)
    assert any('no-such-model' in note for note in report['notes'])
    assert (tmp_path / 'episodes.mp4').stat().st_size > 1000
    assert (tmp_path / 'timing.png').is_file()
    assert not any(_alive(each['pid']) for each in report['processes'])
    _check_bag(tmp_path / 'session.mcap', episode['steps'])


def _check_bag(path: Path, steps: int) -> None:
    """Replay the session to the policy that drove it, which has to choose the same again."""
    job = Job(Place(path), Contender(SCRIPTED_EXPERT), package_folder('models'))
    report = run_job(job).report
    assert report['instructions'] == [REACH.instruction]
    assert not [text for text in report['problems'] if 'hold' not in text and 'late' not in text]
    assert steps // 2 < report['error']['compared'] <= report['commands']
    assert report['error']['mean_absolute']['policy'] < 1e-6


@pytest.mark.slow
def test_killed_policy_ends_the_demo_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: dict[str, int] = {}

    def kill_when_it_runs(stage: demo.Stage) -> None:
        while not stage.recorder.samples:
            time.sleep(0.05)
        pids.update(stage.children.pids)
        os.kill(pids['policy'], signal.SIGKILL)

    begin = demo.Stage.begin

    def begin_and_kill(stage: demo.Stage, assignment: Assignment) -> None:
        begin(stage, assignment)
        Thread(target=kill_when_it_runs, args=(stage,), daemon=True).start()

    monkeypatch.setattr(demo.Stage, 'begin', begin_and_kill)
    with pytest.raises(ChildError, match=r'policy \(pid \d+\) was ended by SIGKILL'):
        demo.run_demo(tmp_path, [PLACE])
    assert pids
    assert not any(_alive(pid) for pid in pids.values())
    assert not (tmp_path / 'report.json').exists()
