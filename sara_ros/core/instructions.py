"""Instructions as words, and what to say about those that a model was not trained on."""

from __future__ import annotations

from collections.abc import Iterable
import re

from sara_ros.core.listing import listed


def words_of(text: str) -> list[str]:
    """Return the lower-case words of ``text`` without punctuation."""
    return re.findall(r'[^\W_]+', text.lower())


def doubt_about(instruction: str, known: Iterable[str]) -> str:
    """
    Return why a model may not do what it is told; empty when it was trained on it.

    Case and punctuation do not matter; of a text without words there is nothing to say.

    :param known: instructions the model was trained on; none when any text will do.
    """
    trained, words = tuple(known), words_of(instruction)
    if not trained or not words or words in map(words_of, trained):
        return ''
    return (
        f"the model was not trained on the instruction '{instruction[:80]}'; it knows "
        f'{listed(trained)}'
    )
