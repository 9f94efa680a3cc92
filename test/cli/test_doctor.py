"""``sara-ros doctor``: exit codes, the report, and machines that lack what it checks."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

from sara_ros.cli.main import main
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.doctor.probe import attempt

WITHOUT_RCLPY = """
import sys
sys.modules['rclpy'] = None
from sara_ros.cli.main import main
sys.exit(main(['doctor']))
"""


def levels(path: Path) -> dict[str, str]:
    return {each['check']: each['level'] for each in json.loads(path.read_text())['results']}


def test_a_good_machine_without_a_graph(tmp_path, capsys, monkeypatch):
    pytest.importorskip('rclpy')
    monkeypatch.setenv(
        'FASTRTPS_DEFAULT_PROFILES_FILE', str(package_folder('config') / 'fastdds.xml')
    )
    path = tmp_path / 'doctor.json'
    assert main(['doctor', '--no-graph', '--json', str(path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    found = levels(path)
    assert len(printed) == len(found) + 1
    assert 'error' not in found.values()
    expected = ['Python', 'Python packages', 'OS libraries', 'Open3D', 'MuJoCo', 'GPU', 'ROS']
    assert list(found)[:7] == expected
    assert found['RMW profile'] == 'ok'
    assert found['policy rt2-tabletop'] == 'ok'
    assert not any(name.startswith('topic') for name in found)


def test_broken_models_fail_and_the_graph_is_left_out(tmp_path, capsys, monkeypatch):
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'policy.json').write_text('{')
    _only_models(monkeypatch)
    assert main(['doctor', '--model', 'broken', '--models', str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert 'error: model broken:' in printed
    assert 'not checked, since what broken needs is not known' in printed


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        (['--seconds', '0'], '--seconds is 0'),
        (['--topic', 'front'], "'front' does not read NAME=TOPIC"),
        (['--topic', 'none_such=/x'], "'none_such' is no observation; there are: front"),
        (['--namespace', 'bad name'], 'namespace'),
    ],
)
def test_options_that_cannot_be(option, words, capsys, monkeypatch, ros_domain):
    pytest.importorskip('rclpy')
    _only_models(monkeypatch)
    assert main(['doctor', *option]) == 1
    printed = capsys.readouterr()
    assert words in printed.out + printed.err
    assert 'Traceback' not in printed.err


def test_without_rclpy_it_says_how_to_get_it(tmp_path):
    """A module that cannot be imported stands for a machine without ROS, in this process too."""
    blocked = tmp_path / 'blocked' / 'rclpy'
    blocked.mkdir(parents=True)
    (blocked / '__init__.py').write_text("raise ImportError('No module named rclpy')\n")
    ended = subprocess.run(
        [sys.executable, '-c', WITHOUT_RCLPY],
        capture_output=True, text=True, timeout=100, cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(blocked.parent)},
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert 'error: ROS: rclpy cannot be used: ImportError: No module named rclpy' in ended.stdout
    assert '/opt/ros/jazzy/setup.bash' in ended.stdout
    assert 'ok: models:' in ended.stdout
    assert 'graph: not checked, since ROS does not work here' in ended.stdout
    assert 'Traceback' not in ended.stdout + ended.stderr


def test_without_torch_models_cannot_be_checked():
    ended = attempt(
        "import sys; sys.modules['torch'] = None\n"
        'from pathlib import Path\n'
        'from sara_ros.cli.doctor import check_models\n'
        "results, spec = check_models(Path('.'), 'rt2-tabletop')\n"
        'print([each.seen for each in results], spec)'
    )
    assert ended.worked, ended.text
    assert 'cannot be checked: ModuleNotFoundError' in ended.text
    assert ended.text.endswith(' None')


def _only_models(monkeypatch):
    monkeypatch.setattr('sara_ros.cli.doctor.check_machine', lambda _: [])
