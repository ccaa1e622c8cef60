"""The card that lies beside a trained model: what it is, for whoever finds the folder alone.

In the form that Hugging Face gave model cards: front matter for machines, then Markdown. It is made from the
evidence, and holds nothing that a clock, a path or a machine decides: the same training gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from registry.extension import Evidence, PluginConfig, RunContext

NAME = "README.md"

# The pipelines of transformers by what its classes are called.
_PIPELINES = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForMaskedLM": "fill-mask",
    "ForConditionalGeneration": "text2text-generation",
    "ForImageClassification": "image-classification",
    "ForObjectDetection": "object-detection",
}
# Numbers that say how the training went, and not how good the model is.
_OF_THE_WAY = (
    "alarms",
    "label_audit",
    "parity",
    "seconds",
    "hours",
    "waited_share",
    "energy_kwh",
    "co2_kg",
    "flops",
)
_ENVIRONMENT = ("torch", "transformers", "tokenizers", "python", "device", "precision", "strategy")
_SETTINGS = ("seed", "determinism")
# What nothing of the model depends on.
_BESIDE = {"carbon_intensity"}


def write_card(folder: Path, ctx: RunContext, config: PluginConfig, evidence: Evidence) -> None:
    """Write `README.md` in an artifact's folder.

    Args:
        folder: Of the artifact.
        ctx: The run, whose model, data and base it names.
        config: The options that the training ran with.
        evidence: What the training found.
    """
    (folder / NAME).write_text("\n".join(_lines(ctx, config, evidence)) + "\n", "utf-8")


def _lines(ctx: RunContext, config: PluginConfig, evidence: Evidence) -> Iterator[str]:
    facts, metrics = evidence.facts, evidence.metrics
    yield from _front_matter(ctx, facts)
    yield f"# {ctx.subject.partition('/')[0]}"
    yield ""
    yield _purpose(ctx)
    yield ""
    yield f"{facts['architecture']}; {metrics['parameters']:,.0f} parameters, "
    yield f"{metrics['parameters.trained']:,.0f} of them trained."
    yield from _section("Data", _table("role", "dataset", "digest", rows=_data(ctx)))
    base = ctx.base
    begins = f"It began with `{base.ref}` (`{base.digest}`)." if base else "It began with random weights."
    yield from _section("Base", [begins])
    options = [
        (name, f"`{_plain(value)}`")
        for name, value in sorted(config.model_dump(mode="json", exclude=_BESIDE).items())
    ]
    more = [(name, _plain(facts[name])) for name in _SETTINGS if name in facts]
    yield from _section("Hyper-parameters", _table("option", "value", rows=[*options, *more]))
    results = [
        (name, f"{value:.6g}")
        for name, value in sorted(metrics.items())
        if name.partition(".")[0] not in _OF_THE_WAY
    ]
    yield from _section("Results", _table("metric", "value", rows=results))
    found = [(name, _plain(facts[name])) for name in _ENVIRONMENT if name in facts]
    yield from _section("Environment", _table("", "", rows=found))
    yield from _section("Limits", list(_limits(facts, metrics)))


def _front_matter(ctx: RunContext, facts: Mapping[str, str]) -> Iterator[str]:
    name = facts["architecture"].partition(",")[0]
    pipeline = next((task for ending, task in _PIPELINES.items() if name.endswith(ending)), "")
    yield "---"
    yield "library_name: transformers"
    if pipeline:
        yield f"pipeline_tag: {pipeline}"
    if ctx.base is not None:
        yield f"base_model: {json.dumps(ctx.base.ref)}"
        if ctx.base.licence:
            yield f"license: {json.dumps(ctx.base.licence)}"
    yield "tags: [phasegate]"
    yield "---"


def _purpose(ctx: RunContext) -> str:
    purpose = str(ctx.model.plan.get("purpose", "")).strip()
    return f"Made for this: {purpose}" if purpose else "Nobody has said what it is for."


def _data(ctx: RunContext) -> list[tuple[str, str, str]]:
    return [(role, data.ref, f"`{data.digest}`") for role, data in sorted(ctx.data.items())]


def _limits(facts: Mapping[str, str], metrics: Mapping[str, float]) -> Iterator[str]:
    yield "- It knows what its training data shows, and nothing of whom that leaves out."
    if "max_length" in facts:
        yield f"- Of a text it reads the first {facts['max_length']} tokens."
    if not metrics.get("converged", 1.0):
        yield "- Its training did not converge."
    # Whether it waited for its input is the machine's affair.
    alarms = [name for name in facts["alarms"].split(", ") if name not in ("none", "starved_input")]
    if alarms:
        yield f"- Alarms of its training: {', '.join(alarms)}."
    if facts.get("validation.digest", "none") == "none":
        yield "- No data was held out to judge it by while it was trained."
    yield "- What it was measured on since, its risks and its approvals are in the registry that made it."


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield from lines


def _table(*columns: str, rows: list[Any]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows)]


def _plain(value: Any) -> str:
    """A value in a table's cell; a path, which says more of a machine than of a model, by its last part."""
    if isinstance(value, list) and value:
        return ", ".join(map(_plain, value))
    text = str(value) if value not in ("", []) else "none"
    if text.startswith(("/", "~")):
        text = Path(text).name
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
