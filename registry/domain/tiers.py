"""A system's risk tier, computed from a questionnaire: the highest tier that any answer reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from registry.domain.digests import digest_of
from registry.domain.names import did_you_mean
from registry.errors import BadInput

MINIMAL, LIMITED, HIGH = "minimal", "limited", "high"
# From the lowest to the highest.
TIERS = (MINIMAL, LIMITED, HIGH)
# Not a tier: a use that no tier permits.
PROHIBITED = "prohibited"


@dataclass(frozen=True, slots=True)
class Question:
    """One question, and the tier that each of its answers reaches."""

    id: str
    text: str
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Assessed:
    """What answers come to.

    Attributes:
        tier: The highest that any answer reaches.
        because: The answers that reach it, as `question=answer`.
        prohibited: Answers that no tier permits; then the tier means nothing.
    """

    tier: str
    because: tuple[str, ...]
    prohibited: tuple[str, ...]


@dataclass(frozen=True)
class Questionnaire:
    """Questions that are asked together. Two are the same if their digests are."""

    questions: tuple[Question, ...]

    @cached_property
    def digest(self) -> str:
        return digest_of(self.document)

    @property
    def document(self) -> list[dict[str, Any]]:
        """It as JSON values, without the order of answers."""
        return [{"id": q.id, "text": q.text, "answers": dict(q.answers)} for q in self.questions]

    def evaluate(self, answers: Mapping[str, str]) -> Assessed:
        """The tier that answers come to.

        Raises:
            BadInput: A question is unknown or unanswered, or an answer is not one that it allows.
        """
        by_id = {question.id: question for question in self.questions}
        for asked, answer in answers.items():
            if asked not in by_id:
                raise BadInput(f"there is no question {asked!r}", hint=did_you_mean(asked, by_id))
            if answer not in by_id[asked].answers:
                hint = did_you_mean(answer, by_id[asked].answers)
                raise BadInput(f"{answer!r} is no answer to {asked!r}", hint=hint)
        if missing := [id for id in by_id if id not in answers]:
            raise BadInput(
                f"not answered: {', '.join(missing)}", hint="phasegate system questions shows what is asked"
            )
        reached = {f"{id}={answer}": by_id[id].answers[answer] for id, answer in answers.items()}
        tier = highest([found for found in reached.values() if found != PROHIBITED])
        return Assessed(
            tier=tier,
            because=tuple(sorted(said for said, found in reached.items() if found == tier)),
            prohibited=tuple(sorted(said for said, found in reached.items() if found == PROHIBITED)),
        )


def highest(tiers: Sequence[str]) -> str:
    """The highest of some tiers; the lowest there is if there are none."""
    return max(tiers, key=TIERS.index, default=MINIMAL)


def check_tier(tier: str) -> str:
    """Return `tier` if there is such a tier.

    Raises:
        BadInput: There is none; the nearest is in the hint.
    """
    if tier not in TIERS:
        raise BadInput(f"there is no risk tier {tier!r}", hint=did_you_mean(tier, TIERS))
    return tier


_NEVER = {"no": MINIMAL, "yes": PROHIBITED}

# The questionnaire of this release. A change of it is another questionnaire, with another digest.
SHIPPED = Questionnaire(
    (
        Question(
            "exposure",
            "Who meets what it puts out?",
            {"team": MINIMAL, "organisation": MINIMAL, "customers": LIMITED, "public": LIMITED},
        ),
        Question(
            "purpose",
            "What is it used for?",
            {
                "internal-work": MINIMAL,
                "information": LIMITED,
                "access-to-services": HIGH,
                "work-or-education": HIGH,
                "health-or-safety": HIGH,
                "law-or-justice": HIGH,
            },
        ),
        Question(
            "affected",
            "Whose life does it touch?",
            {"nobody": MINIMAL, "adults": LIMITED, "vulnerable": HIGH},
        ),
        Question(
            "autonomy",
            "Who decides?",
            {"person": MINIMAL, "person-can-stop-it": LIMITED, "system-alone": LIMITED},
        ),
        Question(
            "reversibility",
            "Can a wrong result be put right?",
            {"at-once": MINIMAL, "with-effort": LIMITED, "never": HIGH},
        ),
        Question(
            "reliance",
            "What stops if it stops?",
            {"nothing": MINIMAL, "a-service": LIMITED, "critical-infrastructure": HIGH},
        ),
        Question(
            "personal-data",
            "What does it know of people?",
            {"none": MINIMAL, "ordinary": LIMITED, "special-categories": HIGH},
        ),
        Question(
            "generates",
            "Does it make text, images or sound that people take for a person's?",
            {"no": MINIMAL, "yes": LIMITED},
        ),
        Question("manipulates", "Does it exploit weaknesses, or steer people without their notice?", _NEVER),
        Question("scores-people", "Does it rate people by their social behaviour or character?", _NEVER),
        Question("predicts-crime", "Does it foretell crimes from what somebody is like alone?", _NEVER),
        Question(
            "watches-people",
            "Does it scrape faces, read feelings at work or school, or identify passers-by in public?",
            _NEVER,
        ),
    )
)
