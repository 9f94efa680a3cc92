"""The table and the picture of a long session."""

import io

from PIL import Image

from sara_ros.core.timing import STAGES
from sara_ros.evaluation.samples import CommandSample
from sara_ros.evaluation.soak import ProcessCost, SoakLog
from sara_ros.evaluation.soak_page import cost_table, soak_png, soak_text, write_pages


def session(**values):
    """Return the report of a session of two minutes."""
    samples = [
        CommandSample(
            episode=1, model_id='m', time_sec=i * 0.05, sequence=i, warm_up=i < 5, hold=False,
            stages_ms=dict.fromkeys(STAGES, 2.0), total_ms=12.0,
        )
        for i in range(2400)
    ]  # fmt: skip
    log = SoakLog('m', 20.0, samples=samples, dropped={'late': 3}, **values)
    log.memory_mib['policy'] = [(float(i), 100.0 + i / 100) for i in range(120)]
    return log.to_report(120.0)


COST = ProcessCost(cpu_percent=3.46, rss_start_mib=80.2, rss_end_mib=81.0)


def test_the_page_says_what_was_measured():
    text = soak_text(session(processes={'policy': COST}), 'soak.json')
    for words in (
        '2,400 in 2.0 min', '20.000 Hz of 20', '| 3 late |', '| sensor to command | 12.0 |',
        '| `policy` | 3.5 | 100.2 | 101.1 | 101.2 | +0.96 % |', '](soak.png)', '](soak.json)',
    ):  # fmt: skip
        assert words in text, words


def test_an_older_report_without_processes_has_a_page():
    report = session()
    del report['processes']
    assert '| `policy` | - | 100.2 |' in soak_text(report, 'report.json')


def test_the_cost_of_the_manager_with_and_without_an_export():
    reports = [
        session(processes={'model_manager': COST}, exported=exported) for exported in (False, True)
    ]
    lines = cost_table(reports).splitlines()
    assert lines[2] == '| none | 2 min | 3.5 | 80 | 81 |'
    assert lines[3].startswith('| CSV and MCAP | 2 min |')


def test_the_picture_shows_something(tmp_path):
    report = session()
    picture = Image.open(io.BytesIO(soak_png(report)))
    assert len(picture.getcolors(1 << 24)) > 10
    assert write_pages(report, tmp_path, 'report.json').read_text() == soak_text(
        report, 'report.json'
    )
    assert (tmp_path / 'soak.png').is_file()
