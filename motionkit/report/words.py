"""Counts over captions. No tagger: words are counted as they are written."""

from __future__ import annotations

import dataclasses
from collections import Counter

from motionkit.measures import split_words
from motionkit.stage import Tables, has_run

#: English words that say nothing of a motion.
_FUNCTION_WORDS = (
    "a about above after again all also an and any are around as at away be because been "
    "before being between both but by can do does during each for from further had "
    "has have having he her hers him his i if in into is it its itself just me more most my no "
    "nor not now of off on once one only onto or other our out over own person same she so some "
    "such than that the their them then there these they this those through to together too "
    "towards toward under until upon very was we were what when where which while who will "
    "with you your"
)
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())


@dataclasses.dataclass
class Words:
    """``lengths`` counts captions by number of words, ``words`` counts lower-case words."""

    clips: int
    captions: int
    sources: Counter[str]
    lengths: Counter[int]
    words: Counter[str]
    repeated: list[tuple[str, int]]

    @property
    def mean_length(self) -> float:
        """Words per caption; NaN without captions."""
        if not self.captions:
            return float("nan")
        return sum(length * n for length, n in self.lengths.items()) / self.captions

    def add(self, text: str | None, source: str | None, texts: Counter[str]) -> None:
        """One more caption; ``texts`` counts whole ones (`repeated`)."""
        words = split_words(text or "")
        self.captions += 1
        self.sources[source or "unknown"] += 1
        self.lengths[len(words)] += 1
        self.words.update(words)
        texts[text or ""] += 1

    def frequent(self, count: int) -> list[tuple[str, int]]:
        """The most frequent words that are no stop words; ties in alphabetical order."""
        found = [(w, n) for w, n in self.words.items() if w not in STOP_WORDS]
        return sorted(found, key=lambda item: (-item[1], item[0]))[:count]


def read_words(tables: Tables) -> Words:
    """Stream over the kept captions. Memory: the distinct words and caption texts."""
    found = Words(0, 0, Counter(), Counter(), Counter(), [])
    texts: Counter[str] = Counter()
    if has_run(tables, "captions"):
        for row in tables.rows("captions", ["captions"]):
            captions = row["captions"] or ()
            found.clips += bool(len(captions))
            for caption in captions:
                found.add(caption["text"], caption["source"], texts)
    found.repeated = repeated(texts)
    return found


def repeated(texts: Counter[str]) -> list[tuple[str, int]]:
    """The five most frequent texts that occur more than once; ties in alphabetical order."""
    ranked = sorted(texts.items(), key=lambda item: (-item[1], item[0]))
    return [(t, n) for t, n in ranked[:5] if n > 1]
