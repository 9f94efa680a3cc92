"""The subcommands of ``sara-ros``, from its argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reference.tables import code, table


def commands() -> str:
    """Return a section for each subcommand."""
    return '\n\n'.join(_section(name, parser) for name, parser in sorted(subcommands().items()))


def subcommands() -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of each subcommand by name."""
    from sara_ros.cli.main import _parser

    actions = _parser()._actions
    return next(
        each.choices for each in actions if isinstance(each, argparse._SubParsersAction)
    )  # fmt: skip


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    about = (parser.description or '').strip()
    lines = [f'## `sara-ros {name}`', about[:1].upper() + about[1:] + '.']
    rows = [_row(each) for each in parser._actions if not isinstance(each, argparse._HelpAction)]
    if rows:
        lines.append(table(('Option', 'Default', 'Meaning'), rows))
    if parser.epilog:
        lines.append(parser.epilog.strip())
    return '\n\n'.join(lines)


def _row(action: argparse.Action) -> tuple[str, str, str]:
    metavar = action.metavar or ('|'.join(map(str, action.choices)) if action.choices else '')
    value = '' if action.nargs == 0 else str(metavar or action.dest.upper())
    name = ', '.join(action.option_strings) or action.dest
    if not action.option_strings:
        name, value = value if action.metavar else action.dest.upper(), ''
    return code(f'{name} {value}'.strip()), _default(action), (action.help or '').strip()


def _default(action: argparse.Action) -> str:
    if action.required:
        return 'required'
    value: Any = action.default
    if value is None or value in ('', [], False, argparse.SUPPRESS) or action.nargs == 0:
        return ''
    return code(value.as_posix() if isinstance(value, Path) else str(value))
