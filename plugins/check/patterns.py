"""Presidio's patterns, checksums and context words: offline, and without a language model."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer, RecognizerResult
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

# How often phonenumbers tries within one text before it gives up in silence; a try takes a character or more.
LONGEST = 65_535

# Fewer are short codes, which lead to a service, and amounts: in Germany 1405 is a valid number.
_SEVEN_DIGITS = re.compile(r"(?:\d[\W_xX]*){7}")
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Something found in a text: characters `start` to `end` (excluded)."""

    start: int
    end: int
    entity_type: str
    score: float


class PatternScanner:
    """Finds what has a form of its own: numbers, addresses, codes. Names of people and places have none.

    Attributes:
        known: Entity types that it could look for in this language.
        sees: Those of the wanted entity types that it looks for.
        blind_to: Those that it does not look for: not wanted, without a pattern, or in need of a model.
        regions: Countries whose phone numbers it knows in their national form.
    """

    def __init__(
        self, language: str, wanted: Iterable[str], threshold: float, regions: Sequence[str] = ()
    ) -> None:
        """Load presidio.

        Args:
            language: Two letters.
            wanted: Entity types to look for.
            threshold: Score, 0 to 1, below which a finding is dropped.
            regions: As in `regions`; presidio's own choice if empty.
        """
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
        from presidio_analyzer.predefined_recognizers import PhoneRecognizer, SpacyRecognizer
        from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

        self.regions = tuple(regions or PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS)
        only = {"supported_languages": [language]}
        # It would warn of every recognizer of every other language.
        with _listening():
            registry = RecognizerRegistryProvider(registry_configuration=only).create_recognizer_registry()
        registry.remove_recognizer("EmailRecognizer")
        registry.add_recognizer(_email_recognizer(language))
        registry.remove_recognizer("PhoneRecognizer")
        registry.add_recognizer(_phone_recognizer(language, self.regions))
        self._analyzer = AnalyzerEngine(
            registry=registry,
            nlp_engine=_word_engine(language),
            supported_languages=[language],
            # Whole words: "public" does not speak of a licence ("lic"), nor "just" of a passport ("us").
            context_aware_enhancer=LemmaContextAwareEnhancer(context_matching_mode="whole_word"),
        )
        self._language = language
        self._threshold = threshold
        self.known = frozenset(self._analyzer.get_supported_entities(language))
        self.sees = sorted(self.known & set(wanted))
        self.blind_to = sorted((self.known | set(wanted) | set(SpacyRecognizer.ENTITIES)) - set(self.sees))

    def scan(self, text: str, context: Sequence[str] = ()) -> list[Hit] | None:
        """Everything found in a text; None if it could not be read to its end.

        Args:
            text: Any text.
            context: Words that speak of it from outside, such as the name of its column.
        """
        if len(text) > LONGEST:
            return None
        hits: list[Hit] = []
        with _listening() as ear:
            # A finding can hide its neighbour: a phone number is not seen beside an account number. So what
            # was found is covered and the rest read again, until nothing more is found.
            while (covered := cover(text, found := self._pass(text, context))) != text:
                hits += found
                text = covered
        return None if ear.heard else sorted(hits)

    def _pass(self, text: str, context: Sequence[str]) -> list[Hit]:
        results = self._analyzer.analyze(
            text, self._language, entities=self.sees, score_threshold=self._threshold, context=list(context)
        )
        return [Hit(each.start, each.end, each.entity_type, each.score) for each in results]


def cover(text: str, hits: Iterable[Hit]) -> str:
    """The text with one meaningless word of the same length in place of each hit, like a mask."""
    end = 0
    for hit in sorted(hits):
        start = max(hit.start, end)
        if hit.end > start:
            filler = "<" + "X" * (hit.end - start - 2) + ">"
            text = text[:start] + filler[: hit.end - start] + text[hit.end :]
            end = hit.end
    return text


class _Ear(logging.Handler):
    """Hears what presidio warns of: it skips a pattern that takes too long, and only logs that."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = False

    def emit(self, record: logging.LogRecord) -> None:
        self.heard = True


@contextmanager
def _listening() -> Iterator[_Ear]:
    ear = _Ear()
    logger = logging.getLogger("presidio-analyzer")
    logger.addHandler(ear)
    try:
        yield ear
    finally:
        logger.removeHandler(ear)


def _email_recognizer(language: str) -> EntityRecognizer:
    """Presidio's, which would download the list of public suffixes, with the list that tldextract brings."""
    import tldextract
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    domains = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            name: str = domains(pattern_text).fqdn
            return name != ""

    return OfflineEmailRecognizer(supported_language=language)


def _phone_recognizer(language: str, regions: Sequence[str]) -> EntityRecognizer:
    """Presidio's, for seven digits or more. It is the slowest by far: texts without them are spared it."""
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    class LongPhoneRecognizer(PhoneRecognizer):
        # Presidio's own annotation of the last one forgets the None that it defaults to.
        def analyze(
            self, text: str, entities: list[str], nlp_artifacts: Any = None
        ) -> list[RecognizerResult]:
            if not _SEVEN_DIGITS.search(text):
                return []
            results = super().analyze(text, entities, nlp_artifacts)
            return [each for each in results if _SEVEN_DIGITS.search(text[each.start : each.end])]

    return LongPhoneRecognizer(supported_language=language, supported_regions=regions)


def _word_engine(language: str) -> NlpEngine:
    """Words for the context rules: spaCy's models would be downloaded, and its blank one has no lemmas."""
    import spacy
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

    stop_words = spacy.util.get_lang_class(language).Defaults.stop_words

    class WordEngine(NlpEngine):
        def load(self) -> None:
            """Nothing is loaded."""

        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            found = list(_TOKEN.finditer(text))
            words: Any = [match[0] for match in found]
            starts = [match.start() for match in found]
            return NlpArtifacts([], words, starts, [word.lower() for word in words], self, language)

        def process_batch(
            self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **_: Any
        ) -> Iterator[tuple[str, NlpArtifacts]]:
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return word in stop_words

        def is_punct(self, word: str, language: str) -> bool:
            return not any(map(str.isalnum, word))

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return [language]

    return WordEngine()
