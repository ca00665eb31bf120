"""English that is left in what is told in German: words that the English texts have alone.

A word is English if an English text of the catalogues has it and no German one, so that
what is in either (``Parquet``, ``Export``) is in both. What stays as it is in every
language is left out: commands, ids, names of files, what another program or the customers'
own objects are called.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from tests.support import catalogues

WORD = re.compile(r"(?<![\w-])[a-zA-Z][a-z]+(?:-[a-z]+)*(?![\w-])")
# Commands, options, ids and keys, paths and addresses.
NAMES = re.compile(
    r"`[^`]*`|\$ .*|https?://\S+|stripe-nrr .*|--?[a-z][\w-]*|\[\[?[\w.]+\]?\]"
    r"|\b[a-z0-9]+(?:[_.][\w*]+)+|\S*/\S*|'[^']*'|\"[^\"]*\"|“[^”]*”|\bpip install .*"
    r"|\b[A-Z]{2,}[A-Z_]*\b|(?:API keys|Developers)"
)

FIELD = re.compile(r"\{[^}]*\}|%\(\w+\)s|\bto=")


def words(text: str) -> Iterator[str]:
    return (found[0].lower() for found in WORD.finditer(NAMES.sub(" ", text)))


@cache
def english_words() -> frozenset[str]:
    english: set[str] = set()
    german: set[str] = set()
    for each in catalogues.read("de"):
        for said, of in ((each.id, english), (each.string, german)):
            for text in [said] if isinstance(said, str) else said or ():
                of.update(words(FIELD.sub(" ", text)))
    return frozenset(english - german)


def left_in(text: str, names: Iterable[str] = ()) -> list[str]:
    """Each line with a word of English in it; ``names`` are the objects' own."""
    known = english_words()
    own = sorted(filter(None, names), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, own)) or r"(?!)")
    found = []
    for line in text.splitlines():
        wrong = sorted(set(words(pattern.sub(" ", line))) & known)
        if wrong:
            found.append(f"{', '.join(wrong)}: {line.strip()}")
    return found
