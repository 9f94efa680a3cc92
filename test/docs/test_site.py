"""The site builds without a warning, needs no network, and says what the code says."""

from __future__ import annotations

from html.parser import HTMLParser
import re
from urllib.parse import unquote, urlsplit

import pytest
from reference.commands import subcommands
from reference.interfaces import definitions


class Links(HTMLParser):
    """Collects what a page links to and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.names = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.names.add(given.get('id'))
        if tag == 'a' and 'href' in given:
            self.links.append(given['href'])
        if tag in ('script', 'img', 'iframe', 'video') and given.get('src'):
            self.loaded.append(given['src'])
        if tag == 'link' and given.get('rel') in ('stylesheet', 'icon', 'preload'):
            self.loaded.append(given['href'])


@pytest.fixture(scope='module')
def built(site):
    """Return the parsed pages by their path in the site."""
    return {
        path.relative_to(site).as_posix(): Links(path.read_text(encoding='utf-8'))
        for path in site.rglob('*.html')
    }


def test_every_page_is_built(built, pages):
    wanted = {name.replace('.md', '.html') for name in pages} - {'faults.html'}
    assert wanted <= set(built)


def test_nothing_is_loaded_from_elsewhere(site, built):
    """A site opened on a robot without a network looks the same."""
    loaded = [source for page in built.values() for source in page.loaded]
    assert loaded
    assert [source for source in loaded if urlsplit(source).netloc] == []
    for path in (site / '_static').rglob('*.css'):
        text = path.read_text(encoding='utf-8')
        assert not re.search(r'@import|url\(["\']?(https?:)?//', text), path


def test_links_within_the_site_lead_somewhere(site, built):
    for name, page in built.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = (site / name).parent / unquote(parts.path) if parts.path else site / name
            assert path.exists(), f'{name}: {link}'
            place = path.resolve().relative_to(site.resolve()).as_posix()
            if parts.fragment and place in built:
                assert unquote(parts.fragment) in built[place].names, f'{name}: {link}'


def test_markers_are_filled_in(site, pages):
    marked = [name for name, text in pages.items() if '<!-- generated' in text]
    assert 'reference/nodes.md' in marked
    for name in marked:
        html = (site / name.replace('.md', '.html')).read_text(encoding='utf-8')
        assert '<!-- generated' not in html
        assert '&lt;!-- generated' not in html


def test_the_reference_has_what_the_code_has(site, built):
    def text(page):
        return (site / 'reference' / page).read_text(encoding='utf-8')

    nodes = text('nodes.html')
    for name in (
        'observation_timeout_sec',
        'warn_latency_sec',
        'physics_rate_hz',
        'swap_budget_sec',
    ):
        assert name in nodes
    for name in ('~/run_policy', '~/twist_cmd', '~/swap_model', 'wrist/image_raw', '/clock'):
        assert name in nodes
    messages = text('messages.html')
    for kind in ('msg', 'srv', 'action'):
        for each in definitions(kind):
            assert each.name in messages
            assert all(field.name in messages for part in each.parts for field in part)
    headings = built['reference/commands.html'].names
    assert {f'sara-ros-{name}' for name in subcommands()} <= headings
