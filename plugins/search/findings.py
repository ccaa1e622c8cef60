"""What a search says of itself: its table, what mattered, its pictures."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from registry.extension import Evidence, RunContext
from registry.files import write_atomically
from registry.plugins.search.options import SearchConfig
from registry.plugins.search.pictures import draw_history, draw_importance
from registry.plugins.search.study import Study
from registry.plugins.search.trial import Outcome

# Below so many judged trials, what an importance says is noise.
_ENOUGH = 5


def account(
    ctx: RunContext,
    config: SearchConfig,
    study: Study,
    outcomes: Sequence[Outcome],
    best: Outcome,
    *,
    folds: str,
) -> Evidence:
    """Evidence about a search that came to its end.

    Args:
        best: The trial that becomes the design.
        folds: How the data was cut, in words.
    """
    assert best.score is not None
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    importance, why_not = rank_options(study, len(scores), ctx.seed)
    states = {
        name: sum(outcome.state == name for outcome in outcomes) for name in ("complete", "pruned", "failed")
    }
    metrics = {
        "best_score": best.score,
        "best_trial": best.number,
        "median_score": statistics.median(scores),
        "trials": len(outcomes),
        **{f"trials.{name}": count for name, count in states.items()},
        "steps": sum(outcome.steps for outcome in outcomes),
        "hours": sum(outcome.seconds for outcome in outcomes) / 3600,
        **({"best_std": best.std, "folds": config.folds} if config.folds else {}),
    }
    facts = {
        "best": best.settings,
        "plugin": f"{config.plugin}@{config.train_plugin().version}",
        "metric": f"{config.metric}, {'lower' if config.minimizes else 'higher'} is better",
        "method": config.method,
        "sampler": type(study.sampler).__name__,
        "pruner": type(study.pruner).__name__,
        "folds": folds,
        "seed": str(ctx.seed),
        "space": json.dumps(config.model_dump(mode="json")["space"], sort_keys=True),
        "fixed": json.dumps(config.fixed, sort_keys=True),
        "importance": why_not or "share of the score's variance that an option explains (fANOVA)",
        **{f"data.{role}": data.digest for role, data in sorted(ctx.data.items())},
    }
    table = write_trials(ctx.folder / "trials.csv", outcomes, config)
    pictures = [draw_history(ctx.folder, outcomes, config)]
    if importance:
        pictures += draw_importance(ctx.folder, importance)
    summary = (
        f"{len(outcomes)} trials ({states['pruned']} pruned, {states['failed']} failed); "
        f"best {config.metric} {best.score:.4g} with {best.settings}"
    )
    return Evidence(
        metrics={name: float(value) for name, value in metrics.items()},
        facts=facts,
        tables={
            "trials": [_row(outcome) for outcome in outcomes],
            "importance": [{"option": name, "share": share} for name, share in importance.items()],
        },
        summary=summary,
        files=(table, *pictures),
    )


def rank_options(study: Study, judged: int, seed: int) -> tuple[dict[str, float], str]:
    """The share of the score's variance that each option explains, largest first; or why there is none.

    Functional analysis of variance over a random forest: Hutter, Hoos, Leyton-Brown (2014), "An Efficient
    Approach for Assessing Hyperparameter Importance", ICML.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if judged < _ENOUGH:
        return {}, f"not told: {judged} trials were judged, and it takes {_ENOUGH}"
    found = get_param_importances(study.study, evaluator=FanovaImportanceEvaluator(seed=seed))
    if not sum(found.values()) > 0:
        return {}, "not told: all scores are the same"
    return {name: float(share) for name, share in found.items()}, ""


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "trial": outcome.number,
        "state": outcome.state,
        "settings": outcome.settings,
        "score": outcome.score,
        "std": outcome.std if len(outcome.scores) > 1 else None,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 2),
        "reason": outcome.reason,
    }


def write_trials(path: Path, outcomes: Sequence[Outcome], config: SearchConfig) -> Path:
    """All trials as a table of text, a column for each option."""
    options = sorted(config.space)
    text = io.StringIO()
    columns = ["trial", "state", *options, "score", "std", "steps", "seconds", "reason"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"option {name}" if name in options else name for name in columns])
    for outcome in outcomes:
        row = _row(outcome)
        del row["settings"]
        trial, state, *rest = row.values()
        writer.writerow([trial, state, *(outcome.values[name] for name in options), *rest])
    write_atomically(path, text.getvalue().encode())
    return path
