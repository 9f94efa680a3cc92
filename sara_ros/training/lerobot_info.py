"""``meta/info.json`` of a LeRobot folder: its frame rate and its features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import json
from math import inf
from pathlib import Path
from typing import Any

from sara_ros.core import ParameterError
from sara_ros.core.json_fields import Fields

STATE, ACTION = 'observation.state', 'action'


class Info:
    """
    The file, whose states, actions and videos are described with their sizes.

    :param fields: all of it, for the layout to read where the files are.
    """

    def __init__(self, root: Path, versions: Iterable[str]) -> None:
        """
        Read it, for layouts of ``versions``.

        :raises SpecError: naming the field that is missing or of another type.
        :raises ParameterError: when the file cannot be read, or has a value without a use.
        """
        self.path = root / 'meta' / 'info.json'
        self.fields = Fields(_parsed(read_text(self.path), str(self.path)), str(self.path))
        self.version = self.fields.text('codebase_version')
        if self.version not in versions:
            known = ' and '.join(versions)
            raise ParameterError(
                f"{self.path}: LeRobot version is '{self.version}'; {known} are supported"
            )
        self.fps = self.fields.number('fps')
        if not 0 < self.fps < inf:
            raise ParameterError(
                f"{self.path}: 'fps' is {self.fps:g}; state the frames per second"
            )
        self._features = self.fields.mapping('features')
        items = self.fields.child('features')
        self._items = {name: items.child(name) for name in self._features}
        self.videos = [name for name, it in self._items.items() if it.text('dtype') == 'video']
        if not self.videos:
            raise ParameterError(
                f"{self.path} describes no feature of dtype 'video'; record at least one camera"
            )
        counts = {**dict.fromkeys((STATE, ACTION), 1), **dict.fromkeys(self.videos, 2)}
        self._shapes = {name: self._shape(name, count) for name, count in counts.items()}
        more = Fields(
            self._features[ACTION].get('info') or {}, f'{self.path}.features.action.info'
        )
        self.action_frame = more.text('frame', '')

    def size(self, feature: str) -> int:
        """Return how many numbers a row of states or actions has."""
        return self._shapes[feature][0]

    def picture(self, feature: str) -> tuple[int, int]:
        """Return height and width of a video."""
        height, width = self._shapes[feature]
        return height, width

    def names(self, feature: str) -> tuple[str, ...]:
        """
        Return the dimension names of states or actions.

        :raises ParameterError: when not every dimension has one of its own.
        """
        names = self._features[feature].get('names')
        names = list(names.values()) if isinstance(names, dict) else names
        if not isinstance(names, list) or not names:
            raise ParameterError(
                f"{self.path} names no dimensions of '{feature}'; name them there"
            )
        flat = names[0] if len(names) == 1 and isinstance(names[0], list) else names
        size = self.size(feature)
        if len(flat) != size:
            raise ParameterError(
                f"{self.path} names {len(flat)} of {size} dimensions of '{feature}'"
            )
        texts = tuple(str(name) for name in flat)
        repeated = next((name for name in texts if texts.count(name) > 1), None)
        if repeated is not None:
            raise ParameterError(
                f"{self.path} names two dimensions of '{feature}' '{repeated}'; tell them apart"
            )
        return texts

    def _shape(self, name: str, count: int) -> tuple[int, ...]:
        if name not in self._features:
            raise ParameterError(f"{self.path} describes no '{name}'; it must be recorded")
        shape = self._items[name].sizes('shape')
        sizes = [size for size in shape[:count] if size is not None and size > 0]
        if len(sizes) != count:
            wanted = 'height and width' if count > 1 else 'how many numbers a row has'
            raise ParameterError(
                f"{self.path}: the shape of '{name}' is {list(shape)}; state {wanted}"
            )
        return tuple(sizes)


def read_text(path: Path) -> str:
    """
    Return the text of a file.

    :raises ParameterError: when it cannot be read.
    """
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, ValueError) as err:
        raise ParameterError(f'cannot read {path}: {err}; restore the file') from err


def read_lines(path: Path) -> Iterator[Fields]:
    """
    Yield the objects of a file with one on each line.

    :raises ParameterError: when the file cannot be read, or a line is not JSON.
    :raises SpecError: when a line is not an object.
    """
    # Not splitlines(), which also splits at separators that JSON allows within a string.
    for number, line in enumerate(read_text(path).split('\n'), 1):
        if line.strip():
            place = f'{path}, line {number}'
            yield Fields(_parsed(line, place), place)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise ParameterError(f'{place}: cannot read the JSON: {err}; correct it') from err
