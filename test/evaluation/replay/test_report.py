"""Reports, pages, predictions and thresholds."""

from dataclasses import replace
import json
import shutil
import subprocess

from evaluation.replay.bags import (
    ToyPolicy,
    arm_messages,
    hand_spec,
    joint_spec,
    write_bag,
)
from mcap.reader import make_reader
import numpy as np
import pytest

from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.contender import Contender
from sara_ros.evaluation.replay.html import write_page
from sara_ros.evaluation.replay.job import Job, play
from sara_ros.evaluation.replay.page_data import MOST_POINTS, page_data
from sara_ros.evaluation.replay.places import Place
from sara_ros.evaluation.replay.predictions import write_predictions
from sara_ros.evaluation.replay.replay import ReplaySettings, replay
from sara_ros.evaluation.replay.report import report_of, shortcomings

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
RUDE = 'arm<script>alert(1)</script>'


def result_of(path, name='toy', offset=0.1, frames=8):
    """Replay a bag of an arm and return the result."""
    spec = replace(joint_spec(), learned=False)
    policy = ToyPolicy(spec, lambda seen: [seen['arm'] + offset])
    job = Job(Place(path), Contender(name), path, ReplaySettings(frames=frames))
    return play(job, Bag(path), policy)


@pytest.fixture
def results(tmp_path):
    """Two policies on one recording with a name that is a trap for HTML."""
    path = write_bag(tmp_path / RUDE.replace('/', '_'), arm_messages())
    return [result_of(path), result_of(path, 'other', 0.0, frames=0)]


def test_a_report_always_says_what_open_loop_means(results, tmp_path):
    report = report_of(results)
    assert report['statement'].startswith('Open-loop error is not success')
    write_page(report, [each.page for each in results], tmp_path / 'page.html')
    assert 'Open-loop error is not success' in (tmp_path / 'page.html').read_text()


def test_limits_that_are_kept_and_those_that_are_not(results):
    report = report_of(results)
    assert shortcomings(report) == []
    assert shortcomings(report, max_error=0.06, max_p95_ms=1e6) == []
    (first, second) = shortcomings(report, max_error=0.04)
    assert 'mean absolute error is 0.05, the limit 0.04' in first
    assert 'other' in second
    assert len(shortcomings(report, max_p95_ms=0.0)) == 2
    report['results'][0]['bag']['broken'] = 'arm: broken after topic x at 1.0'
    assert shortcomings(report) == ['arm: broken after topic x at 1.0']


def test_what_timing_does_not_explain_falls_short_without_a_limit(results):
    """Whatever the live graph did otherwise, the exit code was 0."""
    live = {'bag': 'arm', 'model': 'toy', 'notes': ['said'], 'unexplained': ['at stamp 1.0 ...']}
    assert shortcomings(report_of(results, live=[live])) == ['arm, toy, live: at stamp 1.0 ...']


def test_a_policy_that_chose_no_action_falls_short_without_a_limit(tmp_path):
    """An empty report passed in silence."""
    rows = arm_messages(3, delay_ms=900)
    report = report_of([result_of(write_bag(tmp_path / 'late', rows))])
    (text,) = shortcomings(report)
    assert text == (
        'late, toy: the policy chose no action: 3 observations, dropped: 6 late; where a '
        "recording's clock is not that of its stamps, clock: header in the map"
    )
    write_page(report, [], tmp_path / 'page.html')
    page = (tmp_path / 'page.html').read_text()
    assert 'the policy chose no action' in page.split('Before you read the numbers')[1]


def test_an_error_that_is_not_known_keeps_no_limit(tmp_path):
    rows = [row for row in arm_messages(5) if row[0] != '/action']
    report = report_of([result_of(write_bag(tmp_path / 'none', rows))])
    (text,) = shortcomings(report, max_error=1.0)
    assert 'is unknown, the limit 1' in text


def test_a_page_needs_nothing_and_escapes_everything(results, tmp_path):
    path = tmp_path / 'page.html'
    write_page(report_of(results), [each.page for each in results], path)
    text = path.read_text()
    assert '<script>alert' not in text
    assert 'http://' not in text
    assert 'https://' not in text
    assert 'script-src &#x27;sha256-' in text
    data = json.loads(text.split('type="application/json">')[1].split('</script>')[0])
    assert [each['name'] for each in data[0]['policies']] == ['toy', 'other']
    assert len(data[0]['frames']) == len(data[0]['frame_times_sec']) == 5


@pytest.mark.skipif(CHROMIUM is None, reason='Chromium is not installed')
def test_a_browser_shows_both_actions_at_the_end_of_the_scrubber(results, tmp_path):
    """The script runs under its policy: the table holds the last values, the list every joint."""
    path = tmp_path / 'page.html'
    write_page(report_of(results), [each.page for each in results], path)
    command = [
        CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom',
        f'--user-data-dir={tmp_path / "profile"}', f'{path.as_uri()}#end',
    ]  # fmt: skip
    page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    rows = page.split('id="values">')[1].split('</tbody>')[0]
    assert 'shoulder' in rows
    for value in ('2.000', '1.900', '1.950'):
        assert f'>{value}<' in rows
    assert page.count('<option') == 3
    assert 'src="data:image/jpeg' in page.split('id="frame"')[1][:400]
    assert '0.94 s' in page


def test_predictions_stand_beside_the_recording(tmp_path, arm_bag):
    replayed = replay(Bag(arm_bag), ToyPolicy(), ReplaySettings())
    path = tmp_path / 'out' / 'arm.mcap'
    write_predictions(replayed, 'toy@sara', path)
    with path.open('rb') as file:
        channels = make_reader(file).get_summary().channels.values()
    topics = {'/replay/toy_sara/action', '/replay/toy_sara/values', '/replay/recorded'}
    assert {channel.topic for channel in channels} == topics
    bag = Bag(path)
    found = [
        (each.topic, each.log_ns, each.read())
        for each in bag.messages([t.name for t in bag.topics])
    ]
    assert [log_ns for _, log_ns, _ in found] == sorted(log_ns for _, log_ns, _ in found)
    values = [message for topic, _, message in found if topic.endswith('values')]
    assert values[3].name == ['shoulder', 'elbow']
    np.testing.assert_allclose(values[3].position, [0.4, -0.2], atol=1e-6)
    recorded = [message for topic, _, message in found if topic == '/replay/recorded']
    np.testing.assert_allclose(recorded[3].position, [0.35, -0.25], atol=1e-6)
    actions = [message for topic, _, message in found if topic.endswith('action')]
    assert actions[0].points[0].time_from_start.nanosec == 50_000_000


def test_predictions_of_an_end_effector_are_our_own_messages(tmp_path, arm_bag):
    values = [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.5]
    policy = ToyPolicy(hand_spec(), lambda seen: [values])
    replayed = replay(Bag(arm_bag), policy, ReplaySettings())
    write_predictions(replayed, 'toy', tmp_path / 'hand.mcap')
    bag = Bag(tmp_path / 'hand.mcap')
    messages = [each.read() for each in bag.messages(['/replay/toy/action'])]
    assert [message.hold for message in messages] == [False] * 20 + [True]
    assert messages[2].delta.angular.z == pytest.approx(0.06)
    assert messages[2].gripper_opening == 0.5
    assert messages[2].header.frame_id == 'base_link'


def test_predictions_are_the_same_bytes_twice(tmp_path, arm_bag):
    for name in ('a', 'b'):
        replayed = replay(Bag(arm_bag), ToyPolicy(), ReplaySettings(latency_ms=30))
        write_predictions(replayed, 'toy', tmp_path / f'{name}.mcap')
    assert (tmp_path / 'a.mcap').read_bytes() == (tmp_path / 'b.mcap').read_bytes()


def test_long_recordings_are_thinned_out_for_the_page(tmp_path):
    path = write_bag(tmp_path / 'long', arm_messages(2000, level=lambda row: row // 8))
    policy = ToyPolicy(joint_spec(), lambda seen: [np.clip(seen['arm'], -5, 5)])
    replayed = replay(Bag(path), policy, ReplaySettings(frames=10))
    page = page_data(replayed, 'toy')
    assert len(page.policy.times_sec) == len(page.policy.values[0]) <= MOST_POINTS
    assert 5 <= len(page.frames) <= 10
    gaps = np.diff(page.frame_times_sec)
    assert gaps.max() < 2 * gaps.min()
