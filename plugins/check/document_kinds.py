"""Which headings a document of each kind must have, and what is to be written below each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Heading(NamedTuple):
    """A heading that must be there, with something written below it.

    Attributes:
        name: How it is called in messages; a heading that holds this word will do.
        asks: What is to be written below it.
        also: Other words that will do.
    """

    name: str
    asks: str
    also: tuple[str, ...] = ()


DATASHEET = (
    Heading("Motivation", "why the data was gathered, by whom, and for what purpose", ("purpose",)),
    Heading("Composition", "what a row is, how many there are, what is missing, who is in it"),
    Heading("Collection", "how, when and on what legal basis it was gathered", ("acquisition", "source")),
    Heading("Preprocessing", "how it was cleaned and labelled, and by whom", ("cleaning", "labelling")),
    Heading("Uses", "what it is fit for, and what it must not be used for", ("use",)),
    Heading("Distribution", "under which licence, and who may have it", ("licence", "license")),
    Heading("Maintenance", "who keeps it, how errors are reported, when it is deleted", ("retention",)),
)
"""After Gebru et al., Datasheets for Datasets (2021)."""

KINDS: Mapping[str, tuple[Heading, ...]] = {
    "design-review": (
        Heading("Logic", "how the model comes from an input to an answer", ("architecture", "approach")),
        Heading("Choices", "what was chosen, and why not something else", ("alternatives", "decisions")),
        Heading("Assumptions", "what must be true for it to work", ("assumption",)),
        Heading("Trade-offs", "what was given up for what", ("trade-off", "tradeoffs")),
        Heading("Review", "who questioned the design, what they asked, what came of it", ("reviewers",)),
    ),
    "base-model": (
        Heading("Base", "which model it was made from, by whom, and where it came from", ("source",)),
        Heading("Licence", "under which licence, and what that asks of you", ("license",)),
        Heading("Changes", "what was tuned, and why", ("tuning", "modifications")),
        Heading("Faults", "what the base is known to do badly", ("limits", "risks")),
    ),
    "metric-rationale": (
        Heading("Metrics", "what is measured", ("metric",)),
        Heading("Reasons", "why these metrics suit the purpose, and whom an error harms", ("rationale",)),
        Heading("Thresholds", "where each limit comes from", ("threshold", "targets")),
        Heading(
            "Not measured", "what cannot be measured, and what is done about it", ("unmeasured", "limits")
        ),
    ),
    "security": (
        Heading("Threats", "who could attack, how, and to what end", ("threat model",)),
        Heading("Controls", "what is done against each threat", ("measures", "mitigations")),
        Heading("Supply chain", "where code, weights and data come from", ("dependencies",)),
        Heading("Access", "who can reach model, data and logs", ("permissions",)),
        Heading("Response", "who does what after an attack", ("incidents", "incident")),
    ),
    "oversight": (
        Heading("Responsible", "who oversees it, by name or role", ("responsibility", "roles", "owner")),
        Heading("Limits", "what overseers must know of its limits", ("limitations",)),
        Heading("Override", "how an answer is set aside", ("overrule", "appeal")),
        Heading("Stop", "how it is switched off, and who may", ("halt", "switch off")),
        Heading("Training", "how overseers are kept from trusting it blindly", ("automation bias",)),
    ),
    "impact-assessment": (
        Heading("Purpose", "where, how long and how often it is used", ("use", "context")),
        Heading("People", "who is affected, the vulnerable first", ("affected", "stakeholders")),
        Heading("Harms", "what could happen to them, and how likely", ("harm", "risks", "impacts")),
        Heading("Measures", "what is done to prevent each harm", ("mitigations", "controls")),
        Heading("Oversight", "who watches over it", ("governance",)),
        Heading("Complaints", "how an affected person is heard", ("redress", "appeal")),
    ),
    "instructions": (
        Heading("Provider", "who answers for the model, and how to reach them", ("contact",)),
        Heading("Purpose", "what it is for, and what it must not be used for", ("intended use",)),
        Heading("Performance", "accuracy, robustness and security, with figures", ("accuracy",)),
        Heading("Groups", "how well it works for which people", ("subgroups",)),
        Heading("Risks", "what goes wrong when it is misused", ("misuse",)),
        Heading("Input", "what it may be given", ("inputs",)),
        Heading("Output", "how an answer is to be read", ("outputs", "interpretation")),
        Heading("Oversight", "who watches over it, and how to step in"),
        Heading("Changes", "which changes are foreseen", ("lifetime", "maintenance")),
        Heading("Logs", "what is recorded, and for how long", ("logging", "records")),
    ),
    "rollback-plan": (
        Heading("Target", "the version or the process that takes over", ("fallback",)),
        Heading("Trigger", "what must happen for it", ("triggers", "criteria")),
        Heading("Steps", "the commands, in order, and how long they take", ("procedure",)),
        Heading("Owner", "who does it, day and night", ("responsible",)),
        Heading("Rehearsal", "when it was last tried, and how it went", ("test", "drill")),
    ),
    "monitoring-plan": (
        Heading("Metrics", "what is watched", ("metric",)),
        Heading("Thresholds", "from which value on something is wrong", ("threshold", "limits")),
        Heading("Cadence", "how often it is measured and looked at", ("frequency", "schedule")),
        Heading("Owner", "who looks, by name or role", ("responsible",)),
        Heading("Action", "what is done when a threshold is crossed", ("actions", "escalation")),
    ),
    "retirement-plan": (
        Heading("Dependants", "who uses it, and what they use afterwards", ("dependents", "consumers")),
        Heading("Data", "what happens to data, logs and records", ("records",)),
        Heading("Resources", "what is released, and when", ("resource",)),
        Heading("Risk", "what could go wrong by ending it", ("risks",)),
    ),
}
"""Kinds of documents about a version: the headings of each."""
