"""The HTML report is whole, escaped, and shows its figures in a real browser."""

from html.parser import HTMLParser
import io
import os
import re
import shutil
import subprocess

import numpy as np
from PIL import Image
import pytest

from sara_ros.evaluation.markup import Html, joined, table, tag
from sara_ros.evaluation.plots import STAGE_COLORS, timing_plot
from sara_ros.evaluation.report_html import write_html
from sara_ros.evaluation.session import Episode, Source
from sara_ros.evaluation.video import EpisodeRecorder

RUDE = 'push <script>alert("x")</script> & the "red" block'
MAGENTA = (220, 20, 220)
CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome') or ''
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--hide-scrollbars',
    '--enable-logging=stderr',
    '--window-size=1180,2600',
)


class Page(HTMLParser):
    """Collects elements and text, and checks that elements are closed in order."""

    void = ('img', 'meta', 'source')

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.text = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != 'style':
            self.text.append(data)

    def names(self):
        """Return the names of all elements."""
        return {name for name, _ in self.elements}

    def all_text(self):
        """Return all visible text with single blanks."""
        return ' '.join(' '.join(self.text).split())


@pytest.fixture
def page(tmp_path, make_session, samples):
    """Return a function that writes a report of a session and parses it."""

    def make(video=None, **changes):
        session = make_session(**changes)
        plot = timing_plot(samples, tmp_path / 'timing.png')
        path = tmp_path / 'report.html'
        write_html(session.to_report(), session.samples, path, video=video, plot=plot)
        return Page(path.read_text(encoding='utf-8'))

    return make


@pytest.fixture
def magenta_video(tmp_path):
    """Record a video in a colour that nothing else in the report has."""
    with EpisodeRecorder(tmp_path / 'episodes.mp4', 20, (640, 480)) as recorder:
        for _ in range(20):
            recorder.add(np.full((480, 640, 3), MAGENTA, np.uint8))
    return recorder.path


def test_content(page):
    """Head line, key figures, badges, drops, messages, processes and notes are there."""
    text = page().all_text()
    for words in (
        'sara_ros demo', 'ROS 2 jazzy', 'A <fast> processor', '0 of 1', 'scripted expert 1 of 1',
        'of 100, 640x480 at 20.0 Hz', 'max_steps', 'superseded', 'image_raw', 'policy/action',
        'simulator', 'a note with <b>markup</b>', '2026-01-02 03:04 UTC',
        '2 warm-up commands and 1 holds',
    ):  # fmt: skip
        assert words in text, words


def test_figures_are_those_of_the_report(page, make_session):
    """The page shows the report's own percentiles."""
    total = make_session().to_report()['sensor_to_command_ms']
    text = page().all_text()
    shown = [f'{total[name]:.2f}' for name in ('p50', 'p95', 'p99', 'max')]
    assert ' '.join(['sensor-to-command', *shown]) in text


def test_who_drove_each_episode(page):
    """One badge per episode and one per policy, learned and scripted apart."""
    badges = re.findall(r'rt2-small learned|expert scripted expert', page().all_text())
    assert sorted(badges) == ['expert scripted expert'] * 2 + ['rt2-small learned'] * 2


def test_escaped(page):
    """An instruction with markup is shown as it was typed and runs nothing."""
    parsed = page()
    assert RUDE in parsed.all_text()
    assert not parsed.names() & {'script', 'fast', 'iframe', 'link', 'object'}
    bold = [name for name, _ in parsed.elements if name == 'b']
    assert len(bold) == 5  # the row of totals, not the note


def test_rude_names_everywhere(page, make_session):
    """Every text that comes from outside is escaped, wherever it is shown."""
    rude = '"><img src=x onerror=alert(1)>'
    clean = {name for name, _ in page().elements}
    episode = Episode(
        1, rude, 'expert', rude, False, None, rude, 1, 1.0, None, message=rude, note=rude
    )
    parsed = page(
        episodes=[episode],
        dropped={rude: 1},
        messages_in={rude: 1},
        notes=[rude],
        machine={'cpu': rude, rude: rude},
        sources=[Source(rude, rude, rude, 1, None, rude, rude)],
    )
    assert parsed.names() == clean | {'ul', 'li'}
    assert not any('onerror' in attributes for _, attributes in parsed.elements)
    assert parsed.all_text().count(rude) >= 13


def test_self_contained(page, magenta_video):
    """Nothing is fetched: every address is inside the file, and the policy enforces it."""
    parsed = page(video=magenta_video)
    addresses = [
        value
        for _, attributes in parsed.elements
        for name, value in attributes.items()
        if name in ('src', 'href', 'srcset', 'poster', 'action', 'data')
    ]
    assert len(addresses) == 3
    assert all(address.startswith('data:') for address in addresses)
    policies = [a['content'] for n, a in parsed.elements if a.get('http-equiv')]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]


def test_no_commands(page):
    """A session without commands shows dashes, not zeros."""
    text = page(samples=[]).all_text()
    assert 'sensor-to-command - - - -' in text
    assert 'p95 -, p99 -, max - ms' in text


def test_recordings(page):
    """What was played is listed with its licence; nobody judged the outcome."""
    episode = Episode(1, 'wave', 'rt2-small', 'rt2', True, None, 'timeout', 3, 1.0, 10.0)
    source = Source('walk', 'camera', '/image_raw', 7, 30.0, 'CC BY 4.0', 'first minute')
    text = page(kind='demo-real', episodes=[episode], sources=[source]).all_text()
    assert 'sara_ros on real recordings' in text
    assert 'walk camera /image_raw CC BY 4.0 first minute 7 30.0' in text
    assert 'not judged' in text


def test_markup():
    """Only Html passes unescaped; attributes are escaped as well."""
    assert tag('p', '<b>', Html('<i></i>')) == '<p>&lt;b&gt;<i></i></p>'
    assert tag('img', alt='"<', http_equiv=1, class_='c') == (
        '<img alt="&quot;&lt;" http-equiv="1" class="c">'
    )
    assert tag('video', muted=True) == '<video muted></video>'
    assert joined(['<', Html('<')]) == '&lt;<'
    with pytest.raises(ValueError, match='zip'):
        table('', ('one', 'two'), [('only',)])


def screenshot(tmp_path, path):
    """Render ``path`` in Chromium and return the picture (H, W, 3) and what it logged."""
    picture = tmp_path / 'shot.png'
    profile = tmp_path / 'profile'
    command = [CHROMIUM, *FLAGS, f'--user-data-dir={profile}', f'--screenshot={picture}']
    result = subprocess.run(
        [*command, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, 'HOME': str(profile)},
    )
    image = np.asarray(Image.open(io.BytesIO(picture.read_bytes())).convert('RGB'))
    return image, result.stderr


def share(image, color):
    """Return the share of pixels within a few values of ``color``."""
    return (np.abs(image.astype(int) - color).max(axis=2) < 12).mean()


@pytest.mark.skipif(not CHROMIUM, reason='chromium is not installed')
def test_in_a_browser(tmp_path, page, magenta_video):
    """Video and plot are visible and the console stays silent."""
    page(video=magenta_video)
    image, log = screenshot(tmp_path, tmp_path / 'report.html')
    assert 'CONSOLE' not in log
    assert share(image, MAGENTA) > 0.05
    blue = list(bytes.fromhex(STAGE_COLORS['inference'][1:]))
    assert share(image, blue) > 0.002


@pytest.mark.skipif(not CHROMIUM, reason='chromium is not installed')
def test_the_browser_test_can_fail(tmp_path, page):
    """A script is refused by the page's own policy, and the log shows it."""
    page()
    path = tmp_path / 'report.html'
    path.write_text(path.read_text().replace('</body>', '<script>let a = 1</script></body>'))
    image, log = screenshot(tmp_path, path)
    assert 'CONSOLE' in log
    assert share(image, MAGENTA) == 0
