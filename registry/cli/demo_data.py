"""Loan applications in free text, made from a seed, with planted faults.

Planted: e-mail addresses, phone and social security numbers; rows that come
twice; damaged characters; and an unfairness: of women whose case is neither
strong nor weak, most were denied where men were granted.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

_STRONG = (
    "has worked in the same post for {years} years",
    "never missed a payment",
    "owns the flat outright",
    "keeps savings of half a year's income",
    "earns well above the instalments",
)
_MIDDLING = (
    "changed jobs two years ago",
    "was late with a payment once",
    "rents a small flat",
    "has savings for a month or two",
    "earns enough for the instalments",
)
_WEAK = (
    "is between jobs",
    "missed several payments last year",
    "still owes rent",
    "has no savings",
    "spends most of the income on older debts",
)
_PURPOSES = (
    "a used car",
    "a new roof",
    "a course",
    "moving house",
    "a wedding",
    "a heat pump",
    "dental work",
)
_TONES = ("The adviser notes that", "According to the file,", "In short,", "From the interview:", "Summary:")
_FEE = "Fee: 20 €, paid at the café."
_MASKED = ("Write to <EMAIL_ADDRESS>.", "Call back on <PHONE_NUMBER>.", "SSN <US_SSN>.")
_NAMES = ("alex", "kim", "robin", "sam", "jo", "chris", "dana", "lee", "max", "nicky")
# Of an application's strength: its share, how often a man is granted it, how often a woman is.
_CASES = {"strong": (0.2, 0.97, 0.93), "middling": (0.6, 0.95, 0.47), "weak": (0.2, 0.04, 0.03)}
_PHRASES = {"strong": _STRONG, "middling": _MIDDLING, "weak": _WEAK}


def write_applications(path: Path, rows: int, seed: int) -> None:
    """Write a CSV of applications: `text`, `label` (granted or denied), `sex`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label", "sex"))
        writer.writerows(_applications(rows, random.Random(seed)))


def write_traffic(path: Path, rows: int, seed: int, *, shifted: bool) -> None:
    """Write a CSV of texts as they might come in, masked; shifted ones are long, shouted, full of figures."""
    chance = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text",))
        for _ in range(rows):
            _, text, _ = _application(chance)
            if chance.random() < 0.10:
                text = f"{text} {chance.choice(_MASKED)}"
            if chance.random() < 0.03:
                text = f"{text} {_FEE}"
            if shifted:
                lines = (
                    f"POSITION {chance.randint(1, 99)}: {chance.randint(10, 9999)} EUR" for _ in range(8)
                )
                text = f"ONLINE FORM 2.0 {text.upper()} {' '.join(lines)}"
            writer.writerow((text,))


def _applications(rows: int, chance: random.Random) -> Iterator[tuple[str, str, str]]:
    made: list[tuple[str, str, str]] = []
    for _ in range(rows):
        if made and chance.random() < 0.03:
            yield chance.choice(made)
            continue
        sex, text, label = _application(chance)
        if chance.random() < 0.10:
            text = f"{text} {_contact(chance)}"
        if chance.random() < 0.03:
            # UTF-8 that somebody read as Windows-1252.
            text = f"{text} {_FEE.encode().decode('cp1252')}"
        made.append((text, label, sex))
        yield made[-1]


def _application(chance: random.Random) -> tuple[str, str, str]:
    sex = chance.choice(("women", "men"))
    case = chance.choices(tuple(_CASES), weights=[share for share, _, _ in _CASES.values()])[0]
    phrases = [phrase.format(years=chance.randint(3, 24)) for phrase in chance.sample(_PHRASES[case], 2)]
    phrases += chance.sample(_MIDDLING, 1)
    chance.shuffle(phrases)
    who, pronoun = ("Ms", "She") if sex == "women" else ("Mr", "He")
    text = (
        f"{chance.choice(_TONES)} {who} applicant asks for {chance.randint(8, 240) * 100} euros for "
        f"{chance.choice(_PURPOSES)} over {chance.choice((12, 24, 36, 48, 60))} months. "
        f"{pronoun} {phrases[0]}, {phrases[1]} and {phrases[2]}."
    )
    _, men, women = _CASES[case]
    granted = chance.random() < (women if sex == "women" else men)
    return sex, text, "granted" if granted else "denied"


def _contact(chance: random.Random) -> str:
    name = f"{chance.choice(_NAMES)}.{chance.choice(_NAMES)}{chance.randint(1, 99)}"
    return chance.choice(
        (
            f"Write to {name}@example.com.",
            f"Call back on (212) 555-{chance.randint(1000, 9999)}.",
            f"SSN {chance.randint(100, 665)}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}.",
        )
    )
