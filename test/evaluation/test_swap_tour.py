"""What is told of a tour: which model each command came from, and what was missed."""

from dataclasses import replace
import io
import json

from evaluation.telemetry import command
from PIL import Image
import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation.command_log import CommandLog
from sara_ros.evaluation.swap_timeline import timeline_png
from sara_ros.evaluation.swap_tour import (
    StateChange,
    TourStep,
    commands_of,
    intervals_ms,
    read_commands,
    tour_report,
)

RATE_HZ = 20.0
STEP = TourStep(
    label='softmax to sara', request='swap_model {attention_backend: sara}', expected='active',
    asked_sec=1000.5, ended_sec=1001.5, state='active', message='passed', active='one',
)  # fmt: skip


def late(sequence, by_sec, **changes):
    """Return a command that came ``by_sec`` late."""
    return command(sequence, stamp_sec=1000.0 + sequence * 0.05 + by_sec, **changes)


def logged(tmp_path, commands):
    """Return commands as the exporter writes and the tour reads them."""
    log = CommandLog(tmp_path / 'commands.csv')
    for each in commands:
        log.add(each)
    log.flush()
    log.close()
    return read_commands(tmp_path / 'commands.csv')


@pytest.fixture
def commands(tmp_path):
    """Thirty of one model, of which one is 30 ms late and one holds, and ten of another."""
    first = [command(n) for n in range(30)]
    first[20] = late(20, 0.03)
    first[12] = command(12, hold=True)
    return logged(tmp_path, [*first, *(command(n, backend='sara') for n in range(30, 40))])


def test_each_command_has_its_model(commands):
    """Right after a swap one comes without its backend."""
    assert {each.model for each in commands[:30]} == {'one, softmax'}
    assert {each.model for each in commands[30:]} == {'one, sara'}
    assert commands[12].latency_ms is None
    assert commands[0].latency_ms == pytest.approx(30.0)


def test_the_last_command_of_a_model_keeps_its_backend(tmp_path):
    found = logged(tmp_path, [
        command(0), command(1, model='two', backend='sara'), command(2, backend=''),
    ])  # fmt: skip
    assert [each.model for each in found] == ['one, softmax', 'two, sara', 'one, softmax']


def test_no_interval_spans_two_runs(tmp_path):
    """Nor one to the hold that ends a run, which goes out off the beat."""
    stop = late(10, -0.03, hold=True)
    again = [late(n, 5.0) for n in range(5)]
    found = logged(tmp_path, [*(command(n) for n in range(10)), stop, *again])
    gaps = [gap for _, gap in intervals_ms(found)]
    assert len(gaps) == 9 + 4
    assert gaps == pytest.approx([50.0] * 13)


def test_a_report_counts_what_was_missed(commands):
    changes = [StateChange(1000.5, 'loading', ''), StateChange(1001.0, 'trial', '')]
    wrong = replace(STEP, label='tampered', expected='refused')
    report = tour_report(commands, [STEP, wrong], changes, rate_hz=RATE_HZ, duration_sec=2.0)
    assert report['commands']['count'] == 40
    assert report['commands']['periods_missed'] == 1
    assert report['commands']['interval_ms']['max'] == pytest.approx(80.0)
    assert [each['model'] for each in report['models']] == ['one, softmax', 'one, sara']
    assert [each['commands'] for each in report['models']] == [29, 10]
    first = report['steps'][0]
    assert (first['asked_sec'], first['ended_sec'], first['number']) == (0.5, 1.5, 1)
    assert (first['commands'], first['holds'], first['longest_interval_ms']) == (21, 1, 80.0)
    assert report['as_expected'] is False


def test_the_picture_can_be_drawn_from_the_report(commands):
    """Every command is in it, and what was drawn once is drawn again from the file."""
    changes = [StateChange(1000.5, 'loading', ''), StateChange(1001.0, 'trial', '')]
    report = json.loads(json.dumps(
        tour_report(commands, [STEP], changes, rate_hz=RATE_HZ, duration_sec=2.0)
    ))  # fmt: skip
    again = commands_of(report)
    assert [(each.model, each.hold, each.run) for each in again] == [
        (each.model, each.hold, each.run) for each in commands
    ]
    assert [gap for _, gap in intervals_ms(again)] == pytest.approx(
        [gap for _, gap in intervals_ms(commands)], abs=1.01
    )
    picture = Image.open(io.BytesIO(timeline_png(report)))
    assert picture.width == 1100
    assert len(picture.getcolors(1 << 24)) > 10


def test_what_cannot_be_told_of_is_said(tmp_path):
    with pytest.raises(ParameterError, match='no command went out'):
        tour_report([], [], [], rate_hz=RATE_HZ, duration_sec=1.0)
    (tmp_path / 'commands.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ParameterError, match=r'commands\.csv cannot be read'):
        read_commands(tmp_path / 'commands.csv')
