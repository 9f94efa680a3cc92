"""Architecture of the RT-2 variant as values that read from and write to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sara_ros.core import SpecError
from sara_ros.core.json_fields import Fields
from sara_ros.policies.action_tokens import BINS

DECODINGS: Final = ('argmax', 'expectation')
PATCHES: Final = (4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class View:
    """
    A camera image as the network takes it.

    :param name: the observation it comes from.
    :param height: height in pixels after resizing; a multiple of ``patch``.
    :param width: width in pixels after resizing; a multiple of ``patch``.
    :param patch: side in pixels of the square behind one image token.
    """

    name: str
    height: int
    width: int
    patch: int

    def __post_init__(self) -> None:
        """Check that patches tile the image."""
        if self.patch not in PATCHES or self.height % self.patch or self.width % self.patch:
            raise SpecError(
                f"view '{self.name}': patches of {self.patch} do not tile "
                f'{self.height}x{self.width}; patch is one of {PATCHES}'
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.height // self.patch, self.width // self.patch

    @property
    def tokens(self) -> int:
        """Number of image tokens."""
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True, slots=True)
class StateInput:
    """A state observation and how many numbers it has."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class RT2Config:
    """
    What it takes to build the network again.

    :param views: cameras, in the order of their tokens.
    :param state: state observations, joined into one token.
    :param vocabulary: words the instruction may hold; see :class:`words.Vocabulary`.
    :param actions: number of action tokens.
    :param decode: how a token's 256 probabilities become a number: ``argmax`` takes the centre
        of the likeliest bin, ``expectation`` the mean of the centres.
    :param relative_to: state observation that actions are coded relative to, one number for
        each dimension of the action; empty for none. For absolute joint targets.
    :param token_low: lower ends of the token ranges, one a dimension of the action; empty for
        the ranges of the spec, which are also what decoded actions are clipped to.
    :param token_high: upper ends.
    """

    views: tuple[View, ...]
    state: tuple[StateInput, ...]
    vocabulary: tuple[str, ...]
    actions: int
    max_words: int = 8
    width: int = 128
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    feed_ratio: int = 4
    bins: int = BINS
    decode: str = 'argmax'
    relative_to: str = ''
    token_low: tuple[float, ...] = ()
    token_high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check what the sizes must satisfy."""
        if self.decode not in DECODINGS:
            raise SpecError(f"model: decode is '{self.decode}'; known: {', '.join(DECODINGS)}")
        sizes = (self.width, self.heads, self.encoder_layers, self.decoder_layers, self.bins)
        if min(*sizes, self.actions, self.max_words, self.feed_ratio) < 1 or not self.views:
            raise SpecError('model: every size must be at least 1 and there must be a view')
        if self.width % self.heads:
            raise SpecError(f'model: width {self.width} is not a multiple of heads {self.heads}')
        pairs = zip(self.token_low, self.token_high)  # noqa: B905 - the lengths are compared
        if len(self.token_low) != len(self.token_high) or any(a >= b for a, b in pairs):
            raise SpecError('model: token_low must be below token_high in each dimension')
        if self.relative_to and self.relative_to not in {part.name for part in self.state}:
            raise SpecError(f"model: relative_to '{self.relative_to}' is not a state observation")

    @property
    def state_size(self) -> int:
        """Numbers in the joined state."""
        return sum(part.size for part in self.state)

    @property
    def reference(self) -> slice:
        """Where in the joined state the numbers are that actions are relative to."""
        start = 0
        for part in self.state:
            if part.name == self.relative_to:
                return slice(start, start + part.size)
            start += part.size
        return slice(0, 0)

    @property
    def prompt(self) -> int:
        """Tokens before the first action token: the state and the words."""
        return 1 + self.max_words

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, place: str = 'model') -> RT2Config:
        """
        Read the JSON form.

        :raises SpecError: naming the field that is missing or wrong.
        """
        fields = Fields(data, place)
        return cls(
            views=tuple(_view(item) for item in fields.items('views')),
            state=tuple(
                StateInput(item.text('name'), item.integer('size'))
                for item in fields.items('state')
            ),
            vocabulary=fields.texts('vocabulary'),
            decode=fields.text('decode'),
            relative_to=fields.text('relative_to', ''),
            token_low=_numbers(data, 'token_low', place),
            token_high=_numbers(data, 'token_high', place),
            **{name: fields.integer(name) for name in _INTEGERS},
        )


_INTEGERS: Final = (
    'actions', 'max_words', 'width', 'heads', 'encoder_layers', 'decoder_layers', 'feed_ratio',
    'bins',
)  # fmt: skip


def _view(item: Fields) -> View:
    sizes = (item.integer('height'), item.integer('width'), item.integer('patch'))
    return View(item.text('name'), *sizes)


def _numbers(data: Mapping[str, Any], name: str, place: str) -> tuple[float, ...]:
    values = data.get(name, ())
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, (int, float)) for value in values
    ):
        raise SpecError(f'{place}.{name}: expected numbers, found {values!r:.80}')
    return tuple(float(value) for value in values)
