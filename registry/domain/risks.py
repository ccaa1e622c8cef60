"""The risk register's words: categories, and how likely and how bad something is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from registry.domain.names import did_you_mean
from registry.errors import BadInput

# Id -> what it is about. `genai/` are the headings of NIST AI 600-1, in words of our own.
CATEGORIES: Mapping[str, str] = {
    "training/bias": "the model treats groups of people differently, because its data do",
    "training/privacy": "personal data is in the training data, or can be got out of the model",
    "launch/performance": "it is worse in use than it was in tests",
    "launch/security": "somebody misuses it, steals it or breaks in through it",
    "content/falsehood": "what it says is not so",
    "content/infringement": "what it says belongs to somebody else",
    "genai/cbrn": "it helps with chemical, biological, radiological or nuclear weapons",
    "genai/confabulation": "it states what is made up, and sounds sure",
    "genai/violent-content": "it produces or encourages violence, hate or self-harm",
    "genai/data-privacy": "it tells or infers what is private",
    "genai/environment": "training and use take energy, water and material",
    "genai/homogenisation": "it repeats and amplifies bias, and makes everything alike",
    "genai/human-reliance": "people trust it too much, or too little, or take it for a person",
    "genai/information-integrity": "it makes deception at scale cheap",
    "genai/information-security": "it can be turned by prompts or poisoned data, and helps attackers",
    "genai/intellectual-property": "it reproduces protected work, likeness or secrets",
    "genai/abusive-content": "it produces sexual or degrading content, of real people or children",
    "genai/value-chain": "parts of others, models and data, bring in what nobody has examined",
}
SEVERITIES = ("low", "medium", "high", "critical")
_SCORE = re.compile(r"\s*([0-9]{1,3})\s*[x*×]\s*([0-9]{1,3})\s*\Z")


@dataclass(frozen=True, slots=True)
class Score:
    """How likely something is times how bad it would be, each from 1 to 5.

    Raises:
        BadInput: One is not from 1 to 5.
    """

    likelihood: int
    severity: int

    def __post_init__(self) -> None:
        for name, value in (("likelihood", self.likelihood), ("severity", self.severity)):
            if not 1 <= value <= 5:
                raise BadInput(f"the {name} is {value}", hint="it runs from 1 (least) to 5 (most)")

    @classmethod
    def parse(cls, text: str) -> Score:
        """Read `2x3`: likelihood 2, severity 3.

        Raises:
            BadInput: It is no such thing.
        """
        found = _SCORE.match(text)
        if found is None:
            raise BadInput(f"{text!r} is no score", hint="write likelihood and severity like 2x3")
        return cls(int(found[1]), int(found[2]))

    @property
    def value(self) -> int:
        """1 to 25."""
        return self.likelihood * self.severity

    def __str__(self) -> str:
        return f"{self.likelihood}x{self.severity}"


def check_category(category: str) -> str:
    """Return `category` if there is such a category.

    Raises:
        BadInput: There is none; the nearest is in the hint.
    """
    if category not in CATEGORIES:
        last = [known for known in CATEGORIES if category and known.rpartition("/")[2] == category.lower()]
        hint = f"did you mean {last[0]!r}?" if last else did_you_mean(category, CATEGORIES)
        raise BadInput(f"there is no category of risk {category!r}", hint=hint)
    return category


def check_residual(inherent: Score, residual: Score, reason: str) -> None:
    """See that controls do not make a risk worse, unless somebody says why.

    Raises:
        BadInput: The residual score is above the inherent one, and no reason is given.
    """
    if residual.value > inherent.value and not reason.strip():
        raise BadInput(
            f"the residual {residual} ({residual.value}) is above {inherent} ({inherent.value})",
            hint="say with --reason why controls make it worse, or correct one of them",
        )


def check_severity(severity: str) -> str:
    """Return a finding's severity if there is such a one.

    Raises:
        BadInput: There is none; the nearest is in the hint.
    """
    if severity not in SEVERITIES:
        raise BadInput(f"there is no severity {severity!r}", hint=did_you_mean(severity, SEVERITIES))
    return severity
