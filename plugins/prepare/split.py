"""Splitting: parts that a model can be trained and judged on without having seen the answers."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadTable
from registry.extension import DatasetDraft, Evidence, PluginConfig, Prepared, PreparePlugin, RunContext
from registry.extension.inputs import ColumnRoles
from registry.extension.tables import ANY_TEXT, groups_of, read_rows, row_keys

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = ("train", "validation", "test")
Stratum = tuple[str, ...]


class SplitConfig(PluginConfig):
    """How large each part is; a part of size 0 is not made."""

    train: float = Field(default=0.7, gt=0, le=1, description="Share of the rows to learn from.")
    validation: float = Field(
        default=0.15, ge=0, lt=1, description="Share of the rows to choose settings on."
    )
    test: float = Field(default=0.15, ge=0, lt=1, description="Share of the rows to judge the result on.")
    stratify: list[str] = Field(
        default=[],
        description="Columns that every part holds in proportion beside the label, such as sensitive ones.",
    )

    @model_validator(mode="after")
    def _whole(self) -> SplitConfig:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"train, validation and test are shares of the whole: they sum to {total:g}, not to 1"
            )
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part that is made."""
        return {part: share for part in PARTS if (share := getattr(self, part))}


class Split(PreparePlugin[SplitConfig]):
    """Train, validation and test parts in proportion, none of which holds a text or picture of another."""

    name = "split"
    evidence = "data.split"

    def run(self, ctx: RunContext, config: SplitConfig) -> Prepared:
        """Deal the rows out by label. Texts that differ only in case, space or punctuation stay together.

        So do equal pictures, and equal rows of a table that has neither. Without a label, or with one that is
        no class (a list, such as the objects in a picture, or a text that differs in most rows), rows are
        dealt out at random. `leaked_rows` counts, in the
        parts as written, the rows whose text or picture is in another part too.

        Raises:
            BadTable: No rows, rows without text or label, or a class with fewer texts than there are parts.
            BadConfig: `stratify` names a column that is not there.
        """
        table = read_rows(ctx.dataset, ANY_TEXT)
        roles = ctx.dataset.columns
        for name in filter(None, (roles.text, roles.image, roles.label)):
            _check_complete(ctx, table, name)
        labels = _classes(table, roles.label)
        for name in config.stratify:
            if name not in table.column_names:
                raise BadConfig(
                    f"option 'stratify': no column {name!r}", hint=did_you_mean(name, table.column_names)
                )
        keys = row_keys(table, roles)
        groups = (groups_of(table[name]) for name in config.stratify)
        strata = list(zip(labels or [""] * table.num_rows, *groups, strict=True))

        rows = deal(keys, strata, config.shares, ctx.seed)
        parts = {part: table.take(sorted(rows[part])) for part in config.shares}
        leaked = leaked_rows(parts, roles)

        metrics = {"rows": float(table.num_rows), "leaked_rows": float(leaked)}
        for part, content in parts.items():
            metrics |= {f"rows.{part}": content.num_rows, f"share.{part}": content.num_rows / table.num_rows}
        sizes = ", ".join(f"{part} {content.num_rows}" for part, content in parts.items())
        evidence = Evidence(
            metrics=metrics,
            facts={
                "seed": str(ctx.seed),
                "stratified_by": ", ".join([*([roles.label] if labels else []), *config.stratify])
                or "nothing",
            },
            summary=f"{table.num_rows} rows split: {sizes}; {leaked} leaked",
            tables={"strata": _table(strata, rows)},
        )
        ctx.log(evidence.summary)
        drafts = tuple(
            DatasetDraft(
                path=ctx.save_table(content, part),
                suffix=part,
                columns=ctx.dataset.columns,
                note=f"{content.num_rows} of {table.num_rows} rows of {ctx.dataset.ref}, seed {ctx.seed}",
            )
            for part, content in parts.items()
        )
        return Prepared(datasets=drafts, evidence=evidence)


def deal(
    keys: Sequence[Hashable], strata: Sequence[Stratum], shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Deal rows out to parts, stratum by stratum, rows of one key always together.

    Args:
        keys: Per row, what must not be in two parts.
        strata: Per row, what every part holds in proportion; rows of one key count for the commonest.
        shares: Per part, its share of the rows; they sum to 1.
        seed: The same seed deals the same way.

    Raises:
        BadTable: A stratum has fewer keys than there are parts.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        groups[key].append(row)
    by_stratum: dict[Stratum, list[list[int]]] = defaultdict(list)
    for rows in groups.values():
        counted = Counter(strata[row] for row in rows)
        by_stratum[min(counted, key=lambda stratum: (-counted[stratum], stratum))].append(rows)

    dealt: dict[str, list[int]] = {part: [] for part in shares}
    dice = random.Random(seed)
    for stratum in sorted(set(strata)):
        members = by_stratum[stratum]
        if len(members) < len(shares):
            raise BadTable(
                f"{' / '.join(stratum)!r} has {len(members)} different texts: each of "
                f"{', '.join(shares)} needs one of its own",
                hint="collect more of that class, leave it out, or make fewer parts: --set validation=0",
            )
        dice.shuffle(members)
        for part, rows in _fill(sorted(members, key=len, reverse=True), shares):
            dealt[part].extend(rows)
    return dealt


def _fill(groups: Sequence[list[int]], shares: Mapping[str, float]) -> Iterable[tuple[str, list[int]]]:
    """Give each group to the part that is furthest from full, and every part at least one."""
    total = sum(map(len, groups))
    room = {part: share * total for part, share in shares.items()}
    empty = set(shares)
    for left, rows in zip(range(len(groups), 0, -1), groups, strict=True):
        open_parts = [part for part in shares if part in empty or left > len(empty)]
        fitting = [part for part in open_parts if room[part] >= len(rows)]
        if fitting:
            part = max(fitting, key=lambda part: room[part] / shares[part])
        else:
            part = max(open_parts, key=lambda part: room[part])
        room[part] -= len(rows)
        empty.discard(part)
        yield part, rows


def _check_complete(ctx: RunContext, table: pa.Table, name: str) -> None:
    """Refuse a column with missing values."""
    if absent := table[name].null_count:
        raise BadTable(
            f"{absent} of {table.num_rows} rows of {ctx.dataset.ref} have no {name!r}",
            hint=f"phasegate run clean {ctx.dataset.ref} removes rows without text; give the others a label",
        )


def leaked_rows(parts: Mapping[str, pa.Table], roles: ColumnRoles) -> int:
    """Rows whose text or picture is in another part too."""
    keys = {part: row_keys(content, roles) for part, content in parts.items()}
    places = Counter(key for found in keys.values() for key in set(found))
    return sum(places[key] > 1 for found in keys.values() for key in found)


def _classes(table: pa.Table, label: str) -> list[str]:
    """Each row's class; empty where the rows have none."""
    from pyarrow.types import is_nested

    if not label or is_nested(table[label].type):
        return []
    classes = groups_of(table[label])
    return classes if len(set(classes)) <= max(len(classes) / 2, 2) else []


def _table(strata: Sequence[Stratum], dealt: Mapping[str, list[int]]) -> list[dict[str, Any]]:
    """Per stratum, how many rows each part got."""
    counts = {part: Counter(strata[row] for row in rows) for part, rows in dealt.items()}
    return [
        {"stratum": " / ".join(stratum), **{part: counts[part][stratum] for part in dealt}}
        for stratum in sorted(set(strata))
    ]
