"""Documents that people write, as the demonstration's people would."""

from __future__ import annotations

from pathlib import Path

_DOCUMENTS = {
    "datasheet": """\
# Loan applications
Owner: Dana

## Motivation
Gathered to sort new applications by how likely a clerk grants them, so that clerks begin with clear cases.
## Composition
A row is one application: a clerk's note in free text, the decision, and the applicant's sex. Some came twice,
and some notes held addresses and numbers of people, which were masked.
## Collection
Written by clerks of the bank between January and June, under the bank's contract with its customers.
## Preprocessing
Masked, repaired where characters were damaged, cleared of repetitions, split by sex. Labels are the clerks'
own decisions: what was unfair then is unfair in them.
## Uses
Fit for sorting applications like these. Not fit for deciding on them, nor for setting interest.
## Distribution
Stays within the bank, under its own contract.
## Maintenance
Dana keeps it until two years after the last model that was trained on it has been retired.
""",
    "design-review": """\
# Design review
Owner: Erik

## Logic
A small encoder reads the note and says how likely a clerk would grant the loan.
## Choices
Trained from scratch, since notes are short and of few words; a larger model gained nothing.
## Assumptions
New notes are written like the old ones, in the same form.
## Trade-offs
A small model is fast and explains little: so a clerk decides.
## Review
Erik asked why sex is not an input. It is in the note's words all the same, so fairness is measured.
""",
    "rollback-plan": """\
# Rollback plan
Owner: Dana

## Target
This is the first version: if it must stop, clerks sort by date, as they did before.
## Trigger
The service does not answer for ten minutes, or a monitored feature drifts.
## Steps
Stop the deployment, tell the branches, sort by date. It takes five minutes.
## Owner
Dana by day, the operator on call by night.
## Rehearsal
Tried with two branches, who were back to sorting by date within the hour.
""",
    "monitoring-plan": """\
# Monitoring plan
Owner: Dana

## Metrics
Stability of what comes in, feature by feature, and of the scores that go out.
## Thresholds
A stability index above 0.25 that is no chance finding.
## Cadence
Every day, over the last two thousand notes.
## Owner
Dana looks; Erik when she is away.
## Action
Look at the notes that moved, tell the branches, and plan a new version if they stay so.
""",
}


def write_documents(folder: Path) -> dict[str, Path]:
    """Write them all; returns where each is, by kind."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for kind, text in _DOCUMENTS.items():
        written[kind] = folder / f"{kind}.md"
        written[kind].write_text(text, "utf-8")
    return written
