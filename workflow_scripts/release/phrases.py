"""Many identifiers and texts, found in a text whatever stands between their letters and digits."""

import bisect
import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import accumulate

WORD = re.compile(r"[^\W_]+")
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")  # characters that show nothing
GRAM = 5  # by so many first characters phrases are looked up; shorter ones are not found


def plain(text: str) -> str:
    """Return a text as it is compared: one form of each character, no case, nothing unseen."""
    if text.isascii():
        return text.lower()
    return UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()


def squeeze(text: str) -> str:
    """Return the letters and digits of a text alone."""
    return "".join(WORD.findall(plain(text)))


class Phrases:
    """Phrases, squeezed, each with what it is."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        """Take the phrases; each must have at least `GRAM` characters."""
        self.meaning = phrases
        self._lengths: dict[str, set[int]] = {}
        for phrase in phrases:
            self._lengths.setdefault(phrase[:GRAM], set()).add(len(phrase))

    def find(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield (place, phrase) for each phrase in a plain text.

        A digit at the end of a phrase is no part of a longer number, and words alone are no part of longer words; an
        identifier of both is found inside a longer word as well.
        """
        if not self.meaning:
            return
        pieces = [(match.start(), match.group()) for match in WORD.finditer(text)]
        joined = "".join(piece for _, piece in pieces)
        ends = list(accumulate(len(piece) for _, piece in pieces))

        def place(at: int) -> int:
            number = bisect.bisect_right(ends, at)
            start, piece = pieces[number]
            return start + at - (ends[number] - len(piece))

        for at in range(len(joined) - GRAM + 1):
            for length in self._lengths.get(joined[at : at + GRAM], ()):
                phrase = joined[at : at + length]
                if len(phrase) == length and phrase in self.meaning:
                    first, last = place(at), place(at + length - 1)
                    around = text[max(first - 1, 0) : first], text[last + 1 : last + 2]
                    if not any(_goes_on(phrase, edge, beyond) for edge, beyond in zip((0, -1), around, strict=True)):
                        yield first, phrase


def _goes_on(phrase: str, edge: int, beyond: str) -> bool:
    """Tell whether a number, or a phrase of letters alone, goes on beyond its edge."""
    return bool(beyond) and (
        (phrase[edge].isdigit() and beyond.isdigit())
        or (phrase.isalpha() and phrase.isascii() and beyond.isalpha() and beyond.isascii())
    )
