"""Instructions as word indices of a small fixed vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import torch
from torch import Tensor

from sara_ros.core import ObservationError
from sara_ros.core.instructions import words_of

PAD: Final = '<pad>'
UNKNOWN: Final = '<unk>'


class Vocabulary:
    """The words of the training instructions; others become ``<unk>``."""

    def __init__(self, words: Sequence[str], max_words: int) -> None:
        """Keep ``words`` in order; the first two are ``<pad>`` and ``<unk>``."""
        self.words = tuple(words)
        self.max_words = max_words
        self._index = {word: index for index, word in enumerate(self.words)}

    @classmethod
    def of(cls, instructions: Iterable[str], max_words: int = 8) -> Vocabulary:
        """Collect the words of ``instructions``."""
        found = sorted({word for text in instructions for word in words_of(text)})
        return cls((PAD, UNKNOWN, *found), max_words)

    def encode(self, instruction: str) -> Tensor:
        """
        Return ``(max_words,)`` int64 indices; surplus words are dropped.

        :raises ObservationError: reason ``instruction``, when there is not one word in it.
        """
        words = words_of(instruction)[: self.max_words]
        if not words:
            raise ObservationError('instruction', 'instruction is empty; send one with words')
        unknown = self._index[UNKNOWN]
        indices = [self._index.get(word, unknown) for word in words]
        return torch.tensor(indices + [self._index[PAD]] * (self.max_words - len(indices)))
