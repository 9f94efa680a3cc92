"""The arguments of the launch files, from the stacks that they start and what they declare."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reference.tables import code, table

FOLDER: Final = Path(__file__).resolve().parents[2] / 'launch'


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a launch file; ``default`` is None where it has to be given."""

    name: str
    default: str | None
    description: str


def launch_files() -> str:
    """Return a section for each launch file."""
    return '\n\n'.join(_section(path) for path in paths())


def paths() -> list[Path]:
    """Return the launch files by name."""
    return sorted(FOLDER.glob('*.launch.py'))


def arguments(path: Path) -> list[Argument]:
    """Return the arguments of a launch file: those of its stack, then those of its own."""
    stack = _stack(path)
    of_stack = [
        Argument(each.name, stack.default(each), each.description) for each in stack.arguments
    ]
    calls = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call))
    own = [_argument(call) for call in calls if _called(call) == 'DeclareLaunchArgument']
    return [*of_stack, *own]


def _section(path: Path) -> str:
    about = ast.get_docstring(_tree(path)) or ''
    nodes = ', '.join(code(each.executable) for each in _stack(path).programs)
    rows = ((code(each.name), _default(each), each.description) for each in arguments(path))
    heads = ('Argument', 'Default', 'Meaning')
    return f'## `{path.name}`\n\n{about}\nNodes: {nodes}.\n\n{table(heads, rows)}'


def _stack(path: Path) -> Any:
    """Run a launch file without ``launch``, which is not on PyPI, and return its stack."""
    tree = _tree(path)
    tree.body = [node for node in tree.body if not _imports_launch(node)]
    names: dict[str, Any] = {}
    exec(compile(tree, str(path), 'exec'), names)
    return names['STACK']


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def _imports_launch(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or '').split('.')[0] in ('launch', 'launch_ros')
    return False


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ''


def _argument(call: ast.Call) -> Argument:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    default = given.get('default_value')
    return Argument(
        ast.literal_eval(call.args[0]),
        None if default is None else _text(default),
        _text(given['description']),
    )


def _text(node: ast.expr) -> str:
    """Return a text, or the last one in an expression that makes a path."""
    texts = [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return texts[-1] if texts else ''


def _default(argument: Argument) -> str:
    return 'required' if argument.default is None else code(argument.default)
