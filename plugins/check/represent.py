"""`represent`: whether the people in a dataset are those that it shall stand for."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from registry.domain.digests import digest_of
from registry.domain.evidence import EvidenceStatus
from registry.domain.names import did_you_mean
from registry.errors import BadConfig
from registry.extension import CheckPlugin, DatasetInput, Evidence, PluginConfig, RunContext
from registry.extension.options import Words
from registry.extension.tables import MISSING, check_columns, groups_of, read_rows
from registry.plugins.check.shares import MOST_GROUPS, MOST_NUMBERS, Shares

if TYPE_CHECKING:
    import pyarrow as pa


class RepresentConfig(PluginConfig):
    """What to compare, with what, and how sure to be."""

    columns: Words = Field(
        (), description="columns to compare, comma-separated; default: the sensitive columns and the label"
    )
    expected: dict[str, dict[str, float]] = Field(
        {},
        description='shares by column and group that are known, for example of a census: {"sex": {"f": 0.51, '
        '"m": 0.49}}; instead of --data reference=DATASET/N',
    )
    min_rows: int = Field(100, ge=1, description="fewer rows, here or in the reference, are not enough")
    min_group: int = Field(30, ge=1, description="a group with fewer rows here is too small to judge")
    rounds: int = Field(1000, ge=100, description="bootstrap rounds of the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="probability that an interval is made for")

    @field_validator("expected", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as cause:
            raise ValueError(f"it is no JSON ({cause})") from cause

    @field_validator("expected")
    @classmethod
    def _shares(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for column, shares in value.items():
            if len(shares) < 2:
                raise ValueError(f"column {column!r} needs two groups or more")
            if any(not 0 <= share <= 1 for share in shares.values()):
                raise ValueError(f"the shares of column {column!r} are not all between 0 and 1")
            if abs(sum(shares.values()) - 1) > 0.01:
                raise ValueError(f"the shares of column {column!r} add up to {sum(shares.values()):g}, not 1")
        return value


class Represent(CheckPlugin[RepresentConfig]):
    """Compare the groups of a dataset with those of the people that it shall stand for.

    Say who those are by `--data reference=DATASET/N`, or by known shares in `expected`.
    """

    name = "represent"
    subject = "dataset"
    evidence = "data.representativeness"
    other_data = True
    requires = ("numpy",)
    extra = "checks"

    def run(self, ctx: RunContext, config: RepresentConfig) -> Evidence:
        """Measure how far the shares of groups lie from the reference, the worst column first.

        A group that the reference has and this data has not is counted in `groups.missing`. Too few rows,
        or a group too small to judge, makes the evidence insufficient.

        Raises:
            BadConfig: Nothing to compare with, or no column; a column that either side does not have.
            BadTable: No rows.
        """
        data = ctx.dataset
        table = read_rows(data)
        reference = _reference(ctx, config)
        columns = _columns(data, config)
        compared = (
            [_expect(data, table, column, config.expected) for column in columns]
            if reference is None
            else _against(table, data, read_rows(reference), reference, columns)
        )
        found = {
            each.column: each.metrics(config.rounds, config.confidence, ctx.seed + number)
            for number, each in enumerate(compared)
        }
        metrics = {
            f"{name}.max{end}": max(metrics[name + end] for metrics in found.values())
            for name in ("tv", "psi")
            for end in ("", ".lower", ".upper")
        }
        for column, of_column in found.items():
            metrics |= {f"{column}.{name}": value for name, value in of_column.items()}
        absent = [name for each in compared for name in each.absent()]
        strangers = [name for each in compared for name in each.strangers()]
        small = [name for each in compared for name in each.small(config.min_group)]
        metrics |= {
            "rows": float(table.num_rows),
            "confidence": config.confidence,
            "reference_rows": float(reference.rows if reference else 0),
            "columns": float(len(columns)),
            "groups": float(sum(len(each.names) for each in compared)),
            "groups.missing": float(len(absent)),
            "groups.unexpected": float(len(strangers)),
            "groups.small": float(len(small)),
            "group.smallest": float(min(each.smallest() for each in compared)),
        }
        reasons = [
            f"{each.ref} has {each.rows} rows, fewer than {config.min_rows}"
            for each in (data, *([reference] if reference else []))
            if each.rows < config.min_rows
        ]
        if small:
            reasons.append(f"fewer than {config.min_group} rows: {', '.join(small)}")
        worst = max(found, key=lambda column: found[column]["tv"])
        return Evidence(
            metrics=metrics,
            status=EvidenceStatus.INSUFFICIENT if reasons else EvidenceStatus.COMPLETE,
            reason="; ".join(reasons),
            facts={
                "columns": ", ".join(columns),
                "reference": reference.ref if reference else "expected shares",
                "reference.digest": reference.digest if reference else digest_of(config.expected),
                "missing": ", ".join(absent) or "none",
                "unexpected": ", ".join(strangers) or "none",
                "small": ", ".join(small) or "none",
                "intervals": f"{config.confidence:.0%}, percentile bootstrap of {config.rounds} rounds",
            },
            summary=f"{metrics['tv.max']:.1%} of the rows would have to be of another {worst} to look like "
            f"{reference.ref if reference else 'the expected shares'}; {len(absent)} groups missing",
            tables={"groups": [row for each in compared for row in each.table()]},
        )


def _reference(ctx: RunContext, config: RepresentConfig) -> DatasetInput | None:
    """The dataset to compare with; None if the expected shares are."""
    if strangers := sorted(set(ctx.data) - {"reference"}):
        raise BadConfig(
            f"represent compares with reference data, not with {', '.join(strangers)} data",
            hint=f"--data reference={ctx.data[strangers[0]].ref}",
        )
    reference = ctx.data.get("reference")
    if (reference is None) == (not config.expected):
        raise BadConfig(
            f"{ctx.subject} is compared with a reference dataset or with expected shares: give "
            + ("one of them" if reference is None else "only one of them"),
            hint=f"phasegate run represent {ctx.subject} --data reference=DATASET/N",
        )
    return reference


def _columns(data: DatasetInput, config: RepresentConfig) -> tuple[str, ...]:
    named = (*data.columns.sensitive, *filter(None, [data.columns.label]))
    columns = config.columns or tuple(config.expected) or named
    if not columns:
        raise BadConfig(
            f"{data.ref} names no sensitive column and no label to compare",
            hint="--set columns=COLUMN, or add the dataset with --sensitive COLUMN",
        )
    check_columns(data, columns)
    return tuple(dict.fromkeys(columns))


def _expect(
    data: DatasetInput, table: pa.Table, column: str, expected: dict[str, dict[str, float]]
) -> Shares:
    """A column against the shares that are expected of it."""
    if column not in expected:
        raise BadConfig(
            f"option 'expected' says nothing of column {column!r}", hint=did_you_mean(column, expected)
        )
    words = _words(table[column])
    _check_groups(data, column, words)
    return Shares.count(column, words, expected[column], 0)


def _against(
    table: pa.Table, data: DatasetInput, other: pa.Table, reference: DatasetInput, columns: tuple[str, ...]
) -> list[Shares]:
    """Columns against those of another dataset."""
    check_columns(reference, columns)
    compared = []
    for column in columns:
        bins = _deciles(other[column])
        if bins and not _is_number(table[column].type):
            raise BadConfig(
                f"column {column!r} holds numbers in {reference.ref} and {table[column].type} in {data.ref}"
            )
        sides = [_words(each[column], bins) for each in (table, other)]
        for each, words in zip((data, reference), sides, strict=True):
            _check_groups(each, column, words)
        compared.append(Shares.count(column, sides[0], Counter(sides[1]), other.num_rows))
    return compared


def _check_groups(data: DatasetInput, column: str, words: list[str]) -> None:
    if (different := len(set(words))) > MOST_GROUPS:
        raise BadConfig(
            f"column {column!r} of {data.ref} has {different} different values: too many to be groups",
            hint="--set columns=... names the columns to compare",
        )


def _deciles(column: pa.ChunkedArray) -> list[float]:
    """Inner edges of bins, for numbers of many values; none for a column of groups."""
    import numpy as np
    import pyarrow.compute as pc

    if not _is_number(column.type):
        return []
    known = column.filter(pc.is_finite(column))
    if pc.count_distinct(known).as_py() <= MOST_NUMBERS:
        return []
    edges: list[float] = np.unique(np.quantile(known.to_numpy(), np.arange(1, 10) / 10)).tolist()
    return edges


def _is_number(type: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(type) or pa.types.is_floating(type))


def _words(column: pa.ChunkedArray, edges: list[float] | None = None) -> list[str]:
    """Each row's group."""
    if not edges:
        return groups_of(column)
    between = (f"{low:g} to {high:g}" for low, high in pairwise(edges))
    names = [f"up to {edges[0]:g}", *between, f"above {edges[-1]:g}"]
    return [
        MISSING if value is None or value != value else names[bisect_left(edges, value)]
        for value in column.to_pylist()
    ]
