"""Layouts of Foxglove, PlotJuggler and RViz show topics and fields that there are."""

import importlib
import json
import re
from xml.etree import ElementTree

import pytest
import yaml

pytest.importorskip('rclpy')

from sara_ros.core import STAGES
from sara_ros.core.resources import package_folder
from sara_ros.core.timing import TOTAL
from sara_ros.nodes.telemetry_export import EXPORTED, resolved

TYPES = {resolved(name, '/policy', '/model_manager'): kind for kind, name, _ in EXPORTED}
NUMBERS = {'float', 'double', 'uint64', 'uint32'}
SENSORS = {'image_raw', 'wrist/image_raw', 'points', 'ee_pose'}


def check_field(topic, fields):
    """Follow ``fields`` through the message type of ``topic`` and return the last one's type."""
    kind, inner = TYPES[topic], ''
    for field in fields:
        types = kind.get_fields_and_field_types()
        assert field in types, f'{kind.__name__} has no field {field}'
        inner = re.sub(r'^sequence<(.*?)>$', r'\1', types[field])
        if '/' in inner:
            package, name = inner.split('/')
            kind = getattr(importlib.import_module(f'{package}.msg'), name)
    return inner


def paths_of(value):
    """Yield every message path of a Foxglove layout."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in ('value', 'topicPath') and isinstance(each, str) and each[:1] == '/':
                yield each
            yield from paths_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from paths_of(each)


def test_foxglove():
    layout = json.loads((package_folder('config') / 'foxglove' / 'sara_ros.json').read_text())
    shown = set(re.findall(r'"(\w+!\w+)"', json.dumps(layout['layout'])))
    assert shown == set(layout['configById'])
    paths = list(paths_of(layout['configById']))
    assert len(paths) > 20
    plotted = set(paths_of({k: v for k, v in layout['configById'].items() if k[:4] == 'Plot'}))
    for path in paths:
        topic, *fields = re.sub(r'\[[\d:]*\](\{[^}]*\})?', '', path).split('.')
        kind = check_field(topic, fields)
        assert path not in plotted or kind in NUMBERS, f'{path} is a {kind}'
        for stage in re.findall(r'stage=="(\w+)"', path):
            assert stage in (*STAGES, TOTAL)


def test_plotjuggler():
    """Stages are told by their place in the message, which is the order of the stages."""
    root = ElementTree.parse(package_folder('config') / 'plotjuggler' / 'sara_ros.xml').getroot()
    names = [curve.get('name') for curve in root.iter('curve')]
    assert len(names) > 20
    for name in names:
        topic = next(each for each in TYPES if name.startswith(f'{each}/'))
        fields = name[len(topic) + 1 :].split('/')
        kind = check_field(topic, [re.sub(r'\[\d+\]', '', field) for field in fields])
        assert kind in NUMBERS, f'{name} is a {kind}'
    [total] = {n.split('/')[3] for n in names if n.endswith('p95_ms') and 'stages' in n}
    assert total == f'stages[{len(STAGES)}]'
    for area in root.iter('DockSplitter'):
        assert int(area.get('count')) == len(area) == len(area.get('sizes').split(';'))


def test_rviz():
    data = yaml.safe_load((package_folder('config') / 'rviz' / 'sara_ros.rviz').read_text())
    manager = data['Visualization Manager']
    topics = {each['Topic']['Value'] for each in manager['Displays'] if 'Topic' in each}
    assert topics == SENSORS
    assert manager['Global Options']['Fixed Frame'] == 'base_link'
    for each in manager['Displays']:
        if 'Topic' in each:
            assert each['Topic']['Reliability Policy'] == 'Best Effort'
