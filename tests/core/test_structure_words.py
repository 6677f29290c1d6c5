"""Words for danger structures: every one has some, no two the same."""

from collections.abc import Callable

import pytest

from sjplan.core.structure_words import NAMED, out_words, structure_words, wall_words
from sjplan.core.structures import DANGERS, FORAMINA


@pytest.mark.parametrize("words", [structure_words, wall_words, out_words])
def test_every_danger_has_words_of_its_own(words: Callable[[str], str]) -> None:
    assert set(NAMED) == set(DANGERS) - set(FORAMINA)
    said = [words(name) for name in DANGERS]
    assert len(set(said)) == len(DANGERS)
    assert not any("_" in text for text in said)
