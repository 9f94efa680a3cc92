"""Text of message types, as recordings carry it so that anybody can read them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
import re
from typing import Any, Final

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from sara_ros.core import ParameterError

SEPARATOR: Final = '=' * 80
BUILTIN: Final = re.compile(r'bool|byte|char|w?string|float(32|64)|u?int(8|16|32|64)')


def type_name(kind: Any) -> str:
    """Return the name of a message class, such as ``std_msgs/msg/Bool``."""
    package = kind.__module__.split('.')[0]
    return f'{package}/msg/{kind.__name__}'


@cache
def message_definition(name: str) -> str:
    """
    Return the text of a type and, after separators, of every type within it.

    :param name: such as ``std_msgs/msg/Bool``.
    :raises ParameterError: when the package or its ``.msg`` file is not installed.
    """
    texts = {name: _text(name)}
    waiting = [name]
    while waiting:
        for part in _parts(waiting.pop(), texts):
            if part not in texts:
                texts[part] = _text(part)
                waiting.append(part)
    own, *others = texts
    sections = [texts[own]]
    for part in others:
        package, _, kind = part.split('/')
        sections.append(f'{SEPARATOR}\nMSG: {package}/{kind}\n{texts[part]}')
    return ''.join(section if section.endswith('\n') else f'{section}\n' for section in sections)


def _parts(name: str, texts: dict[str, str]) -> list[str]:
    package = name.split('/')[0]
    found = []
    for line in texts[name].splitlines():
        code = line.split('#')[0].strip()
        match = re.match(r'([A-Za-z][\w/]*)', code)
        if match is None or BUILTIN.fullmatch(match[1]):
            continue
        *own, kind = match[1].split('/')
        found.append(f'{own[0] if own else package}/msg/{kind}')
    return found


def _text(name: str) -> str:
    package, _, kind = name.split('/')
    try:
        path = Path(get_package_share_directory(package)) / 'msg' / f'{kind}.msg'
        return path.read_text(encoding='utf-8')
    except (PackageNotFoundError, OSError) as err:
        raise ParameterError(
            f'the definition of {name} is not installed: {err}; without it no MCAP can be written'
        ) from err
