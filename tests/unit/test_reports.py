"""The audit report as a document: what it states, and that hostile text stays text."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_sample import ARTIFACT, DRIFTED, GROUPS, UNAPPROVED, evidence, sample

from registry.domain.decision import Verdict
from registry.reports import to_html, to_json
from registry.reports.charts import thin
from registry.reports.facts import LedgerState, ReportFacts
from registry.reports.wording import duration, measured, number, percent

VOID = {"meta", "br", "col", "circle", "path", "rect", "use"}


class Page(HTMLParser):
    """What a reader's program sees: elements, their attributes, text; and that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get("id"))]


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(sample())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_opens_with_the_verdict_then_what_is_missing_then_the_timeline_then_evidence(page: Page) -> None:
    places = [
        page.text.index(words)
        for words in (
            "loans/1 is deployed and may not become monitored.",
            "What does not hold, and the command that helps",
            "Every recorded change, oldest first.",
            "Findings of runs.",
        )
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("result", [DRIFTED, UNAPPROVED], ids=lambda result: result.rule)
def test_says_of_each_missing_rule_what_was_seen_and_which_command_helps(page: Page, result) -> None:
    for words in (result.rule, result.value, result.limit, result.message, result.remedy):
        assert words in page.text


def test_an_allowed_step_is_said_to_be_possible(page: Page) -> None:
    assert "From deployed to retired: possible" in page.text


def test_a_final_stage_has_no_next_step() -> None:
    facts = sample()
    text = Page(to_html(replace(facts, next=(), subject=replace(facts.subject, stage="retired")))).text
    assert "loans/1 is retired. No further step is possible." in text


def test_an_empty_gate_says_why_it_refuses() -> None:
    facts = sample()
    step = replace(facts.next[0], verdict=Verdict(False, (), "no policy governs this step"))
    assert "no policy governs this step." in Page(to_html(replace(facts, next=(step,)))).text


def test_an_unverified_ledger_is_said_before_anything_else() -> None:
    broken = LedgerState(27, "sha256:" + "0" * 64, False, 11, "entry 11 has another hash")
    text = Page(to_html(replace(sample(), ledger=broken))).text
    assert text.index("nothing in this report is proven") < text.index("may not become")
    assert "entry 11 has another hash" in text
    assert "verified, 11" not in text


def test_every_statement_has_its_ledger_entry(page: Page) -> None:
    facts = sample()
    entries = [*facts.timeline, *(record for record in facts.evidence if record.standing == "current")]
    for record in entries:
        assert f"ledger entry {record.entry}" in page.text


def test_every_digest_is_short_in_place_and_full_in_the_appendix(page: Page) -> None:
    links = {link["href"] for link in page.all("a") if link.get("class") == "hash"}
    assert f"#{ARTIFACT.replace(':', '-')}" in links
    assert links <= {f"#{name}" for name in page.ids}
    assert ARTIFACT in page.text
    assert all(link["title"] in page.text for link in page.all("a") if link.get("class") == "hash")


def test_every_link_stays_inside_and_leads_somewhere(page: Page) -> None:
    targets = {link["href"] for link in page.all("a")}
    assert targets
    assert targets <= {f"#{name}" for name in page.ids}


def test_no_identifier_is_used_twice(page: Page) -> None:
    assert sorted(page.ids) == sorted(set(page.ids))


def test_is_well_formed_and_accessible(page: Page) -> None:
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table")) > 10
    assert {head.get("scope") for head in page.all("th")} <= {"col", "row"}
    drawn = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(drawn) == len(page.all("figure"))
    assert all(svg["aria-label"] for svg in drawn)


def test_loads_nothing(html: str, page: Page) -> None:
    assert page.all("script") == page.all("link") == page.all("img") == page.all("iframe") == []
    assert not re.search(r"@import|url\((?!#)", html)
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")


def test_shows_units_and_intervals(page: Page) -> None:
    assert "f1 0.9312 none 0.9101 to 0.9498" in page.text
    assert "rows 800 rows" in page.text
    assert "f1.lower" not in page.text


def test_has_a_plot_for_each_table_that_can_be_drawn(page: Page) -> None:
    labels = " ".join(svg["aria-label"] or "" for svg in page.all("svg") if "aria-label" in svg)
    for words in (
        "loss of run r-04",
        "selection rates by sex",
        "Calibration",
        "Confusion matrix of 800",
        "of score",
    ):
        assert words in labels


def test_a_table_of_another_shape_is_shown_and_not_drawn() -> None:
    odd = evidence(
        9, "check.other", 1, {}, tables={"groups": [{"name": "a", "share": 0.5}], "confusion": [{}]}
    )
    page = Page(to_html(replace(sample(), evidence=(odd,), runs=())))
    assert page.all("figure") == []
    assert "share" in page.text


def test_evidence_that_does_not_count_is_listed_with_the_reason(page: Page) -> None:
    assert "stale check.bias loans/1" in page.text


def test_without_matplotlib_the_report_says_what_installs_the_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = Page(to_html(sample()))
    assert page.all("figure") == []
    assert "pip install 'phasegate[report]'" in page.text
    assert "characters" in page.text


def test_an_empty_version_has_a_report_too() -> None:
    facts = sample()
    bare = ReportFacts(facts.subject, facts.made_at, facts.made_with, facts.ledger)
    text = Page(to_html(bare)).text
    assert "No gate has been asked yet." in text
    assert "No evidence counts for this version." in text


def test_is_the_same_every_time(html: str) -> None:
    assert to_html(sample()) == html
    assert to_json(sample()) == to_json(sample())


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\" ' $x_{1 {{ 7*7 }} </style> \x00\x1b"


def hostile_everywhere(text: str) -> str:
    facts = sample()
    groups = [{**row, "group": text + row["group"], "column": text} for row in GROUPS]
    record = evidence(
        1,
        text,
        1,
        {text: 0.5},
        about=text,
        summary=text,
        reason=text,
        facts={text: text},
        run=text,
        tables={
            "groups": groups,
            text: [{text: text}],
            "confusion": [{"true label": text, f"predicted {text}": 3}],
            "histograms": [{"feature": text, "low": 0, "high": 1, "reference_share": 1, "live_share": 1}],
        },
    )
    return to_html(
        replace(
            facts,
            subject=replace(facts.subject, ref=text, purpose=text, task=text),
            made_with=text,
            evidence=(record,),
            runs=(
                replace(
                    facts.runs[3],
                    id=text,
                    plugin=text,
                    config={text: text},
                    curves={f"{text}loss": [(1, 0.5)]},
                ),
            ),
            timeline=(replace(facts.timeline[0], text=text, actor=text),),
            approvals=(replace(facts.approvals[0], reason=text),),
        )
    )


def test_hostile_text_stays_text() -> None:
    page = Page(hostile_everywhere(HOSTILE))
    assert page.all("script") == page.all("img") == []
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "{{ 7*7 }}" in page.text
    assert page.open == []
    assert len(page.all("style")) <= 1 + len(page.all("figure"))


@settings(max_examples=8, deadline=None)
@given(st.text(max_size=30))
def test_any_text_makes_a_well_formed_page(text: str) -> None:
    assert Page(hostile_everywhere(text)).open == []


def test_a_curve_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    run = replace(sample().runs[3], curves={"_loss": [(1, 0.5), (2, 0.4)]})
    assert " _loss</text>" in to_html(replace(sample(), runs=(run,)))


def test_group_names_in_any_script_are_drawn() -> None:
    groups = [
        {**row, "group": name}
        for row, name in zip(GROUPS, ("女性", "мужчины", "$x$", "والد", "🙂"), strict=True)
    ]
    html = to_html(replace(sample(), evidence=(evidence(1, "check.bias", 1, {}, tables={"groups": groups}),)))
    assert all(f">{name}</text>" in html for name in ("女性", "мужчины", "$x$", "والد", "🙂"))


def test_json_holds_every_fact_under_its_name() -> None:
    document = json.loads(to_json(sample()))
    assert document["format"] == "phasegate.report/1"
    assert document["subject"]["artifact"] == ARTIFACT
    assert document["next"][0]["verdict"]["results"][-1]["outcome"] == "missing"
    assert document["made_at"] == "2026-03-11T10:14:05+00:00"
    assert document["runs"][3]["curves"]["train_loss"][0][0] == 2


def test_json_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(replace(sample(), evidence=(evidence(1, "x", 1, {"loss": float("nan")}),)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (2600.0, "2,600"),
        (0.93124, "0.9312"),
        (1.2e-19, "1.20e-19"),
        (-12345.678, "-12,345.7"),
        (24.6, "24.6"),
        (True, "yes"),
        (None, "no value"),
        ("text", "text"),
    ],
)
def test_numbers_read_well(value: object, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(1.0, "100 %"), (0.9996, "> 99.9 %"), (0.5, "50 %"), (0.123, "12.3 %"), (0.0, "0 %")]
)
def test_a_share_is_100_percent_only_when_it_is_all(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "not ended"),
        (6.31, "6.3 s"),
        (59.97, "1 min 00 s"),
        (133.8, "2 min 14 s"),
        (7325, "2 h 02 min"),
    ],
)
def test_durations_read_well(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_bound_without_its_metric_is_a_metric() -> None:
    assert measured({"a.lower": 0.25}) == [("a.lower", "0.2500", "", "")]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 10)), min_size=1, max_size=3000))
def test_thinning_keeps_the_ends_and_invents_nothing(points: list[tuple[float, float]]) -> None:
    kept = thin(points)
    assert len(kept) <= 401
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert set(kept) <= set(points)
