"""Checks of ROS, the Fast DDS profile, shared memory and discovery."""

from __future__ import annotations

from collections import namedtuple
import shutil

import pytest

from sara_ros.core import ParameterError
from sara_ros.core.health import Level
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.doctor import middleware
from sara_ros.evaluation.doctor.fastdds_profile import DEFAULT_SEGMENT_BYTES, segment_bytes

SHIPPED = package_folder('config') / 'fastdds.xml'
Usage = namedtuple('Usage', 'total used free')


def profile(tmp_path, *changes):
    text = SHIPPED.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / 'other.xml'
    path.write_text(text)
    return path


def checked(path):
    return middleware.check_profile({middleware.PROFILES: str(path)}, 'rmw_fastrtps_cpp')


def test_the_shipped_profile_is_good():
    assert segment_bytes(SHIPPED) == 32 * 2**20
    found = checked(SHIPPED)
    assert found.level == Level.OK
    assert '32 MiB' in found.seen


def test_no_profile():
    found = middleware.check_profile({}, 'rmw_fastrtps_dynamic_cpp')
    assert found.level == Level.WARN
    assert f'export {middleware.PROFILES}={SHIPPED}' in found.advice


@pytest.mark.parametrize(
    ('before', 'after', 'size'),
    [
        ('33554432', '1048576', 2**20),
        ('<segment_size>33554432</segment_size>', '', DEFAULT_SEGMENT_BYTES),
        (' is_default_profile="true"', '', DEFAULT_SEGMENT_BYTES),
        ('<type>SHM</type>', '<type>UDPv4</type>', 0),
        ('<transport_id>shared_memory</transport_id>\n        <type>',
         '<transport_id>unused</transport_id><type>', 0),
    ],
)  # fmt: skip
def test_too_little_shared_memory_in_a_profile(tmp_path, before, after, size):
    path = profile(tmp_path, (before, after))
    assert segment_bytes(path) == size
    found = checked(path)
    assert found.level == Level.WARN
    assert str(path) in found.seen
    assert 'segment_size' in found.advice


def test_another_file_with_enough_is_fine(tmp_path):
    path = profile(tmp_path, ('33554432', '67108864'))
    found = checked(path)
    assert found.level == Level.OK
    assert '64 MiB' in found.seen
    assert 'a file of yours' in found.seen


def test_builtin_transports_count_as_well(tmp_path):
    path = profile(
        tmp_path,
        ('<type>SHM</type>', '<type>UDPv4</type>'),
        ('<useBuiltinTransports>false', '<useBuiltinTransports>true'),
    )
    assert segment_bytes(path) == DEFAULT_SEGMENT_BYTES


@pytest.mark.parametrize('text', [None, '<dds', ''])
def test_a_profile_that_cannot_be_read(tmp_path, text):
    path = tmp_path / 'broken.xml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(ParameterError, match=r'broken\.xml'):
        segment_bytes(path)
    assert checked(path).level == Level.ERROR


def test_another_middleware():
    found = middleware.check_profile({}, 'rmw_cyclonedds_cpp')
    assert found.level == Level.WARN
    assert 'rmw_cyclonedds_cpp' in found.seen


def test_ros_works_here():
    pytest.importorskip('rclpy')
    found, name = middleware.check_ros({'ROS_DISTRO': 'jazzy'})
    assert found.level == Level.OK
    assert name.startswith('rmw_')
    assert middleware.check_ros({'ROS_DISTRO': 'humble'})[0].level == Level.WARN


def test_a_middleware_that_is_not_installed(monkeypatch):
    pytest.importorskip('rclpy')
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_none_such')
    found, name = middleware.check_ros({'RMW_IMPLEMENTATION': 'rmw_none_such'})
    assert (found.level, name) == (Level.ERROR, '')
    assert 'unset RMW_IMPLEMENTATION' in found.advice


def test_messages_that_are_not_built(tmp_path, monkeypatch):
    package = tmp_path / 'sara_ros_msgs'
    package.mkdir()
    (package / '__init__.py').write_text('')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    found = middleware.check_messages()
    assert found.level == Level.ERROR
    assert 'sara_ros_msgs' in found.seen
    assert 'colcon build' in found.advice


@pytest.mark.parametrize(
    ('free_mib', 'level'), [(1000, Level.OK), (100, Level.WARN), (20, Level.ERROR)]
)
def test_shared_memory_of_a_container(tmp_path, monkeypatch, free_mib, level):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: Usage(0, 0, free_mib * 2**20))
    found = middleware.check_shared_memory(tmp_path)
    assert found.level == level
    assert f'{free_mib:,} MiB' in found.seen
    assert ('--shm-size' in found.advice) == (level != Level.OK)


def test_no_shared_memory(tmp_path):
    assert middleware.check_shared_memory(tmp_path / 'absent').level == Level.ERROR


@pytest.mark.parametrize(
    ('environment', 'level', 'words'),
    [
        ({}, Level.OK, 'domain 0, range SUBNET'),
        ({'ROS_DOMAIN_ID': '7'}, Level.OK, 'domain 7'),
        ({'ROS_DOMAIN_ID': '233'}, Level.ERROR, "'233'"),
        ({'ROS_DOMAIN_ID': '-1'}, Level.ERROR, "'-1'"),
        ({'ROS_DOMAIN_ID': '150'}, Level.WARN, 'domain 150'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'}, Level.ERROR, 'OFF'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'WORLD'}, Level.ERROR, 'WORLD'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, Level.WARN, 'robot'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_STATIC_PEERS': '10.0.0.2'},
         Level.OK, '10.0.0.2'),
        ({'ROS_LOCALHOST_ONLY': '1'}, Level.WARN, 'robot'),
    ],
)  # fmt: skip
def test_discovery(environment, level, words):
    found = middleware.check_domain(environment)
    assert found.level == level
    assert words in found.seen
    assert bool(found.advice) == (level != Level.OK)


def test_domains_are_read_from_their_ports(tmp_path):
    table = tmp_path / 'udp'
    ports = (7400, 7410, 7400 + 250 * 42 + 11, 7400 + 250 * 9 + 200, 53, 60000)
    rows = [f'  1: 0100007F:{port:04X} 00000000:0000 07' for port in ports]
    table.write_text('\n'.join(['  sl  local_address rem_address st', *rows]) + '\n')
    assert middleware.domains_in_use(table) == {0, 42}
    assert middleware.domains_in_use(tmp_path / 'absent') == set()
