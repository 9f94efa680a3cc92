"""Commands in the documentation exist as they are written."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
import re
import shlex

from docs.documents import ROOT
import pytest
from reference.commands import subcommands
from reference.launch_files import arguments
from reference.parameters import nodes

BLOCK = re.compile(r'^```bash\n(.*?)^```', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r'`((?:sara-ros|make|ros2) [^`]+)`')


@pytest.fixture(scope='module')
def commands(pages):
    """Return every command with the page it is on."""
    texts = {**pages, 'README.md': (ROOT / 'README.md').read_text(encoding='utf-8')}
    return [
        (name, words)
        for name, text in texts.items()
        for line in [*lines_of(text), *INLINE.findall(text)]
        if (words := words_of(line))
    ]


def lines_of(text):
    for block in BLOCK.findall(text):
        yield from block.replace('\\\n', ' ').splitlines()


def words_of(line):
    words = shlex.split(line, comments=True)
    return words[:-1] if words and words[-1] == '&' else words


def named(commands, *start):
    found = [(name, words) for name, words in commands if words[: len(start)] == list(start)]
    assert found, start
    return found


def test_subcommands_and_options_exist(commands):
    known = subcommands()
    for name, words in named(commands, 'sara-ros'):
        assert words[1] in known, f'{name}: {words}'
        options = {each for action in known[words[1]]._actions for each in action.option_strings}
        used = {word.split('=')[0] for word in words[2:] if word.startswith('--')}
        assert used <= options, f'{name}: {words}'
        if '...' not in words and len(words) > 2 and used:
            complete(known[words[1]], words[2:], name)


def complete(parser, words, name):
    """Parse a command whose options are given; one without them may be a mere mention."""
    required = [action for action in parser._actions if action.required]
    if all(
        set(action.option_strings) & set(words) for action in required if action.option_strings
    ):
        try:
            parser.parse_args(words)
        except SystemExit:
            pytest.fail(f'{name}: {words} is refused')


def test_make_targets_exist(commands):
    targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    for name, words in named(commands, 'make'):
        assert next(word for word in words[1:] if '=' not in word) in targets, f'{name}: {words}'


def test_launch_files_take_these_arguments(commands):
    for name, words in named(commands, 'ros2', 'launch', 'sara_ros'):
        if not words[3].endswith('.launch.py'):
            continue
        path = ROOT / 'launch' / words[3]
        assert path.is_file(), f'{name}: {words}'
        known = {each.name for each in arguments(path)}
        assert {word.split(':=')[0] for word in words[4:]} <= known, f'{name}: {words}'


def test_modules_and_files_exist(commands):
    for name, words in commands:
        if words[0].endswith('python') and words[1:2] != ['-m']:
            assert (ROOT / words[1]).is_file(), f'{name}: {words}'
        if words[0].endswith('python') and words[1:2] == ['-m']:
            assert (ROOT / Path(*words[2].split('.'))).with_suffix('.py').is_file(), words
        for file in (words[i + 1] for i, word in enumerate(words) if word == '--params-file'):
            assert (ROOT / file).is_file(), f'{name}: {words}'


def test_parameters_in_yaml_exist(pages):
    modules = [import_module(f'sara_ros.nodes.{name}') for name in nodes()]
    known = {each.name for module in modules for each in module.PARAMETERS} | {'topics'}
    for name in ('bring-your-robot.md', 'bring-up.md'):
        blocks = re.findall(r'^```yaml\n(.*?)^```', pages[name], re.MULTILINE | re.DOTALL)
        assert blocks
        for block in blocks:
            used = re.findall(r'^(?:    )?([a-z_]+):', block, re.MULTILINE)
            assert set(used) <= known, f'{name}: {block}'
