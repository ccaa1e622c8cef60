"""What a report states of exceptions, risks, people, targets and signatures, and what it says is missing."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime
from html.parser import HTMLParser

import pytest
from report_oversight import approvals, findings, risks, service, signatures, targets, waivers
from report_sample import WAIVED, sample

from registry.reports import ReportFacts, to_html, to_json


class Reader(HTMLParser):
    """What a person reads: the text, the text of each cell, and where each id stands."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.cells: list[tuple[str, str]] = []
        self.elements: list[str] = []
        self._row = ""
        self._cell: list[str] | None = None
        self._quiet = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._quiet = self._quiet or tag == "style"
        if tag == "tr":
            self._row = dict(attrs).get("class") or ""
        if tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        self._quiet = self._quiet and tag != "style"
        if tag in ("td", "th") and self._cell is not None:
            self.cells.append((self._row, " ".join("".join(self._cell).split())))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.said.append(data)
        if self._cell is not None:
            self._cell.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def read(facts: ReportFacts) -> str:
    return Reader(to_html(facts)).text


@pytest.fixture(scope="module")
def text() -> str:
    return read(sample())


def bare() -> ReportFacts:
    facts = sample()
    return ReportFacts(facts.subject, facts.made_at, facts.made_with, facts.ledger)


# -- waived is not passed --------------------------------------------------------------------------


def test_a_waived_rule_counts_neither_as_holding_nor_as_refusing(text: str) -> None:
    assert "5 of 9 rules hold, 1 is waived; 2 refuse, 1 more does not hold without refusing." in text
    step = sample().next[0]
    assert WAIVED not in step.holding
    assert WAIVED not in step.missing
    assert step.waived == (WAIVED,)


def test_a_waived_rule_says_who_excepted_it_until_when_and_what_is_done_instead(text: str) -> None:
    where = text.index("What does not hold, and was waived: an exception, not a pass")
    told = text[where : text.index("What holds", where)]
    assert f"waiver 3 : {WAIVED.message}" in told
    assert "waived robustness/typos" in told
    assert "holds robustness/typos" not in text


def test_decisions_and_timeline_show_what_was_waived_then(text: str) -> None:
    decision = text[text.index("Decision 2: evaluated to deployed, allowed") :]
    assert decision.index("1 rule waived") < decision.index("Rules of decision 2")
    assert "waived : robustness/typos (waiver 3)" in text


def test_json_tells_waived_from_passed() -> None:
    results = json.loads(to_json(sample()))["next"][0]["verdict"]["results"]
    assert [(found["rule"], found["waiver"]) for found in results if found["outcome"] == "waived"] == [
        ("robustness/typos", 3)
    ]


# -- exceptions, findings, risks -------------------------------------------------------------------


def test_a_waiver_that_does_not_hold_says_why(text: str) -> None:
    assert "not in force 1: privacy/no-personal-data[train]" in text
    assert "Not in force: the version is not what it was granted for any more" in text
    assert "in force 3: robustness/typos mara jonas 2026-03-23 18, 19" in text


@pytest.mark.parametrize(
    ("state", "said"), [("requested", "requested 3"), ("revoked", "revoked 3"), ("rejected", "rejected 3")]
)
def test_every_state_of_a_waiver_is_said(state: str, said: str) -> None:
    waiver = replace(waivers()[0], state=state, holds=False, why_not="it is so")
    assert f"{said}: robustness/typos" in read(replace(sample(), waivers=(waiver,)))


def test_findings_show_severity_owner_due_and_closure(text: str) -> None:
    assert "overdue 2: Applications in dialect are ranked lower high mara 2026-03-10 20" in text
    assert "Closed: 2026-03-10 08:29 UTC by jonas, on evidence 2 : Repaired by reweighing." in text


def test_risks_show_scores_controls_and_who_accepted_what_is_left(text: str) -> None:
    assert "not accepted 2: Inputs drift after a change of the form 3 × 3 = 9 3 × 2 = 6 mara" in text
    assert "Accepted: 2026-03-10 08:54 UTC by jonas: Tolerable while a clerk confirms." in text
    assert "Accepted: by nobody" in text


def test_the_matrix_leaves_out_what_is_closed() -> None:
    facts = replace(sample(), risks=risks())
    table = read(facts).partition("Where the risks stand")[2].partition("5 People")[0]
    assert "4 · risk 1 · · ·" in table
    assert "2 · · risk 2 · ·" in table
    assert "risk 3" not in table
    assert "Where the risks stand" not in read(replace(sample(), risks=risks()[2:]))


def test_the_header_sums_up_what_stands_against_it(text: str) -> None:
    said = "1 waiver in force, 2 open findings (1 overdue), 2 risks (1 not accepted, 1 overdue for review)"
    assert text.index(said) < text.index("1.1 From deployed")


# -- people ----------------------------------------------------------------------------------------


def test_who_stood_for_whom_and_what_made_a_word_stale_is_said(text: str) -> None:
    assert "In place of jonas. Repaired; group sizes noted. Stood when decision 2 was taken" in text
    assert "Does not stand now: changed since then: artifact, evidence check.bias" in text
    old = replace(approvals()[0], changed=())
    assert "which part of it changed was not recorded" in read(replace(sample(), approvals=(old,)))


def test_the_separation_of_duties_can_be_read(text: str) -> None:
    assert "mara both trained and evaluated it. Not independent is the word of mara." in text
    assert "Independent approvals that stand now: lea (for deployed)." in text
    assert "mara yes yes yes yes deployed moved it to deployed; started deployment 1" in text
    assert "jonas no no no no nothing rejected deployed; accepted waiver 3, risk 1" in text


def test_a_stale_approval_is_not_taken_for_one_that_stands() -> None:
    stale = replace(approvals()[2], current=False, counted=(), changed=("artifact",))
    text = read(replace(sample(), approvals=(stale,)))
    assert "No independent approval stands now." in text
    assert "that stand now" not in text


# -- targets ---------------------------------------------------------------------------------------


def test_other_targets_than_those_in_force_are_said_before_the_verdict_is_explained(text: str) -> None:
    warning = "latency_ms.p50 was measured by an evaluation that ran under other targets"
    assert text.index(warning) < text.index("1.1 From deployed")
    assert text.count(warning) == 2


@pytest.mark.parametrize(
    ("registration", "said"),
    [
        ("after", "The target for f1 was fixed after its evaluation had been asked for."),
        ("unknown", "The ledger does not say whether the target for f1 was fixed before its evaluation."),
    ],
)
def test_an_order_that_proves_nothing_is_said(registration: str, said: str) -> None:
    target = replace(targets()[0], registration=registration)
    text = read(replace(sample(), targets=(target,)))
    assert text.count(said) == 2
    assert "stood in the ledger before" not in text


def test_targets_that_were_fixed_first_are_said_to_have_been() -> None:
    text = read(replace(sample(), targets=targets()[:2]))
    assert "Not judged by targets fixed beforehand" not in text
    assert "fixed before f1 2026-03-09 08:14 UTC 1 run r-04 2026-03-10 08:18 UTC 11" in text


def test_a_limit_that_is_younger_than_its_evidence_is_said() -> None:
    facts = sample()
    step = facts.next[0]
    late = replace(step.verdict, results=tuple(replace(one, late=True) for one in step.verdict.results[:1]))
    text = read(replace(facts, next=(replace(step, verdict=late),), decisions=()))
    assert text.count("Late: the rule, or its limit, is younger than the evidence that it judges") == 1


# -- service and signatures ------------------------------------------------------------------------


def test_a_champion_on_other_data_is_compared_with_a_warning(text: str) -> None:
    assert "They were not evaluated on the same test data" in text
    assert "f1 0.9312 0.9120 +0.0192 auroc 0.9708 0.9731 -0.0023" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"champion": replace(service().champion, exists=False)}, "Its model has no champion"),
        ({"champion": replace(service().champion, metrics={})}, "No complete evaluation of it is recorded"),
        ({"metrics": {}}, "No complete evaluation of this version counts"),
        ({"metrics": {"bleu": 0.3}}, "Their evaluations have no metric in common."),
        ({"champion": replace(service().champion, same_data=True)}, "evaluated on the same test data."),
        ({"rollback_targets": ()}, "Nothing: no other version of the model was ever deployed"),
        ({"dependants": ()}, "Nothing that the registry knows of depends on it."),
        ({"aliases": ()}, "No alias ever pointed to it."),
    ],
)
def test_what_cannot_be_compared_or_rolled_back_is_said(change: dict[str, object], said: str) -> None:
    assert said in read(replace(sample(), service=replace(service(), **change)))


def test_a_champion_says_that_it_is_one() -> None:
    alias = replace(service().aliases[0], alias="champion")
    own = replace(service(), aliases=(alias,), champion=replace(service().champion, exists=False))
    assert "It is the champion of its model itself." in read(replace(sample(), service=own))


def test_signatures_that_do_not_count_say_why(text: str) -> None:
    assert "not valid check.bias evidence 2 unknown" in text
    assert "nobody here knows the key" in text
    assert "Nothing about this version is signed." in read(replace(sample(), signatures=()))


# -- nothing is left blank -------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [sample(), bare()], ids=["full", "bare"])
def test_no_cell_is_empty(facts: ReportFacts) -> None:
    # The first cell of a row that continues the one above it is only space.
    empty = [row for row, said in Reader(to_html(facts)).cells if not said and row != "more"]
    assert empty == []
    assert "–" not in [said for _, said in Reader(to_html(facts)).cells]


def test_what_there_is_none_of_is_said() -> None:
    text = read(bare())
    for said in (
        "Nobody has asked for an exception.",
        "Nobody has raised a finding.",
        "nobody has entered a risk. That is not to say that it has none.",
        "Nobody is known to have had to do with it.",
        "Nobody has approved or rejected anything.",
        "It was never deployed.",
    ):
        assert said in text


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\" ' {{ 7*7 }} </td></table></style>"


def hostile(record):  # type: ignore[no-untyped-def]
    """A record whose free texts are hostile."""
    kept = ("residual", "inherent", "state", "verdict", "policy", "digest", "registration", "op")
    return replace(
        record,
        **{
            field.name: HOSTILE
            for field in fields(record)
            if isinstance(getattr(record, field.name), str) and field.name not in kept
        },
    )


def test_hostile_text_stays_text() -> None:
    facts = sample()
    page = Reader(
        to_html(
            replace(
                facts,
                approvals=tuple(map(hostile, approvals())),
                findings=tuple(map(hostile, findings())),
                people=tuple(map(hostile, facts.people)),
                risks=tuple(map(hostile, risks())),
                service=replace(service(), rollback_targets=(HOSTILE,), dependants=(HOSTILE,)),
                signatures=tuple(map(hostile, signatures())),
                targets=tuple(map(hostile, targets())),
                waivers=tuple(map(hostile, waivers())),
                tier_basis=HOSTILE,
                trust=HOSTILE,
            )
        )
    )
    assert {"script", "img"} & set(page.elements) == set()
    assert page.text.count("<script>alert(1)</script>") > 40
    assert "49" not in {word for _, said in page.cells for word in said.split()}


def test_times_in_json_are_iso() -> None:
    waiver = json.loads(to_json(sample()))["waivers"][0]
    assert datetime.fromisoformat(waiver["until"]) == waivers()[0].until
