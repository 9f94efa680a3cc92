"""Recordings through the live nodes: real ones where they are at hand, a simulated one always."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sara_ros.cli.demo_real import run_demo_real

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'


def _report(out: Path, data: Path) -> dict[str, Any]:
    run_demo_real(out, data)
    report: dict[str, Any] = json.loads((out / 'report.json').read_text())
    return report


def _check_counts(report: dict[str, Any]) -> None:
    assert report['commands']['count'] > 20
    assert report['sensor_to_command_ms']['p50'] > 0
    assert sum(report['messages']['out'].values()) >= report['commands']['count']
    assert all(episode['success'] is None for episode in report['episodes'])
    played = {source['topic']: source['messages'] for source in report['sources']}
    assert all(played.values())
    assert set(report['messages']['in']) == set(played)
    assert isinstance(report['dropped'], dict)


@pytest.mark.slow
def test_without_recordings_it_says_so_and_plays_a_simulated_one(tmp_path: Path) -> None:
    report = _report(tmp_path / 'out', tmp_path / 'nothing')
    assert any('recorded simulation is played instead' in note for note in report['notes'])
    assert {source['kind'] for source in report['sources']} == {'recorded simulation'}
    assert {episode['policy'] for episode in report['episodes']} == {
        'rt2-tabletop', 'pct-tabletop',
    }  # fmt: skip
    _check_counts(report)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason='no recordings in ../shared/data')
def test_real_recordings(tmp_path: Path) -> None:
    report = _report(tmp_path / 'out', DATA)
    kinds = {source['kind'] for source in report['sources']}
    assert kinds == {'LeRobot v2.1 episode', 'Kinect scenes'}
    assert {episode['policy'] for episode in report['episodes']} == {'rt2-g1', 'pct-tabletop'}
    assert report['frames']['received'] > 200
    played = report['messages']['in']
    assert played['points'] == 90
    assert played['joint_states'] == played['image_raw'] + played['points']
    _check_counts(report)
