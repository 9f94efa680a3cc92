"""Architecture of the RT-2 variant as values that read from and write to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sara_ros.core import SpecError
from sara_ros.core.json_fields import Fields
from sara_ros.policies.action_tokens import BINS
from sara_ros.policies.number_tokens import SYMBOLS

DECODINGS: Final = ('argmax', 'expectation')
CODINGS: Final = ('bins', 'vector')
GENERATIONS: Final = ('autoregressive', 'parallel')
PATCHES: Final = (4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class View:
    """
    A camera image as the network takes it.

    :param name: the observation it comes from.
    :param height: height in pixels after resizing; a multiple of ``patch``.
    :param width: width in pixels after resizing; a multiple of ``patch``.
    :param patch: side in pixels of the square behind one image token.
    :param overlap: how many patches begin along the side of one; with 2 they overlap by half,
        and there are four times as many tokens.
    """

    name: str
    height: int
    width: int
    patch: int
    overlap: int = 1

    def __post_init__(self) -> None:
        """Check that patches tile the image."""
        if self.patch not in PATCHES or self.height % self.patch or self.width % self.patch:
            raise SpecError(
                f"view '{self.name}': patches of {self.patch} do not tile "
                f'{self.height}x{self.width}; patch is one of {PATCHES}'
            )
        if self.overlap not in (1, 2, 4) or self.overlap >= self.patch:
            raise SpecError(
                f"view '{self.name}': overlap is {self.overlap}; it is 1, 2 or 4, and below the "
                f'patch of {self.patch}'
            )

    @property
    def cell(self) -> int:
        """Pixels from one token to the next."""
        return self.patch // self.overlap

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.height // self.cell, self.width // self.cell

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
    :param coding: what a number is written as: ``bins`` one of ``bins`` tokens, ``vector`` its
        text, a sign and ``digits`` decimal digits (see :class:`number_tokens.NumberTokens`).
    :param digits: of each number, with the coding ``vector``.
    :param generation: ``autoregressive`` predicts each token from those before it, ``parallel``
        all of them in one pass from queries that see no token.
    :param history: frames the network sees, the present one included.
    :param frame_spacing_sec: time between these frames; 0 without history.
    :param history_layers: encoder layers over the tokens of all frames, after those that each
        frame passes by itself.
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
    coding: str = 'bins'
    digits: int = 2
    generation: str = 'autoregressive'
    history: int = 1
    frame_spacing_sec: float = 0.0
    history_layers: int = 0

    def __post_init__(self) -> None:
        """Check what the sizes must satisfy."""
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                found = getattr(self, name)
                raise SpecError(f"model: {name} is '{found}'; known: {', '.join(known)}")
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
        self._check_coding()
        self._check_history()

    def _check_coding(self) -> None:
        if self.coding == 'bins':
            return
        if self.decode != 'argmax':
            raise SpecError("model: coding 'vector' has no mean of its tokens; decode is 'argmax'")
        if not 1 <= self.digits <= 4 or self.actions % self.places:
            raise SpecError(
                f'model: {self.actions} action tokens are no numbers of a sign and '
                f'{self.digits} digits; digits are 1 to 4'
            )

    def _check_history(self) -> None:
        remembers = self.history > 1
        if self.history < 1 or self.history_layers < 0:
            raise SpecError('model: history is at least 1, history_layers at least 0')
        if remembers != (self.frame_spacing_sec > 0) or (self.history_layers and not remembers):
            raise SpecError(
                f'model: history {self.history}, frame_spacing_sec {self.frame_spacing_sec} and '
                f'history_layers {self.history_layers} contradict each other; a history of 1 has '
                'neither spacing nor layers, a longer one has a spacing'
            )

    @property
    def places(self) -> int:
        """Tokens of one number."""
        return 1 if self.coding == 'bins' else 1 + self.digits

    @property
    def symbols(self) -> int:
        """Tokens there are."""
        return self.bins if self.coding == 'bins' else len(SYMBOLS)

    @property
    def image_tokens(self) -> int:
        """Tokens of one frame."""
        return sum(view.tokens for view in self.views)

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
            coding=fields.text('coding', 'bins'),
            digits=fields.integer('digits', 2),
            generation=fields.text('generation', 'autoregressive'),
            history=fields.integer('history', 1),
            frame_spacing_sec=fields.number('frame_spacing_sec', 0.0),
            history_layers=fields.integer('history_layers', 0),
            **{name: fields.integer(name) for name in _INTEGERS},
        )


_CHOICES: Final = {'decode': DECODINGS, 'coding': CODINGS, 'generation': GENERATIONS}
_INTEGERS: Final = (
    'actions', 'max_words', 'width', 'heads', 'encoder_layers', 'decoder_layers', 'feed_ratio',
    'bins',
)  # fmt: skip


def _view(item: Fields) -> View:
    sizes = (item.integer('height'), item.integer('width'), item.integer('patch'))
    return View(item.text('name'), *sizes, item.integer('overlap', 1))


def _numbers(data: Mapping[str, Any], name: str, place: str) -> tuple[float, ...]:
    values = data.get(name, ())
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, (int, float)) for value in values
    ):
        raise SpecError(f'{place}.{name}: expected numbers, found {values!r:.80}')
    return tuple(float(value) for value in values)
