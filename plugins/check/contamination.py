"""`contamination`: rows of a dataset that stand in another one too, word for word or nearly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from registry.errors import BadConfig, BadTable
from registry.extension import CheckPlugin, DatasetInput, Evidence, PluginConfig, RunContext
from registry.extension.tables import read_rows, text_key
from registry.plugins.check.ngrams import GramIndex, TokenizedTexts

# Rows of the report's table; all of them are in the file.
_SHOWN = 50


class ContaminationConfig(PluginConfig):
    """What counts as the same text."""

    passage: int = Field(
        13, ge=4, description="so many words in a row that stand in the other data are a hit"
    )
    shingle: int = Field(4, ge=1, description="words in a row that near duplicates are compared by")
    overlap: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of a text's shingles that stands in one other text: a near duplicate",
    )
    min_words: int = Field(8, ge=1, description="shorter texts are a hit only if they are the same")


class Hit(NamedTuple):
    """A row that stands in the other data; a row of `contaminated.parquet`. Never what stands there."""

    row: int
    role: str
    other_row: int
    how: str
    overlap: float


class Contamination(CheckPlugin[ContaminationConfig]):
    """Find texts that stand in other data too, near duplicates included: test rows that were trained on.

    Name the other data by `--data train=DATASET/N`; several roles are read one after the other.
    Words are runs of letters and digits; Chinese and Japanese characters count one by one.
    """

    name = "contamination"
    subject = "dataset"
    evidence = "check.contamination"
    other_data = True
    requires = ("numpy",)
    extra = "checks"

    def run(self, ctx: RunContext, config: ContaminationConfig) -> Evidence:
        """Compare every text with all texts of the other data; rows without a text are not read.

        A row is exact if only case, space, punctuation and Unicode form differ, and near if a passage or
        most of its shingles stand in one row of the other data. Each row counts once.

        Raises:
            BadConfig: No other data, or a dataset that names no text column.
            BadTable: No rows, or no text in them.
        """
        data = ctx.dataset
        if not ctx.data:
            raise BadConfig(
                f"no data to look for {data.ref} in",
                hint=f"phasegate run contamination {data.ref} --data train=DATASET/N",
            )
        texts = _texts(data)
        tokens = TokenizedTexts(texts.values())
        hits: dict[int, Hit] = {}
        by_role = []
        for role, other in sorted(ctx.data.items()):
            found = {hit.row: hit for hit in _hits(ctx, config, texts, tokens, role, other)}
            how = Counter(hit.how for hit in found.values())
            by_role.append(
                {"role": role, "data": other.ref, "exact": how["exact"], "near": len(found) - how["exact"]}
            )
            # The worst that was found of a row: word for word before nearly.
            hits |= {row: hit for row, hit in found.items() if row not in hits or hit.how == "exact"}
        ordered = [hits[row] for row in sorted(hits)]
        exact = sum(hit.how == "exact" for hit in ordered)
        against = ", ".join(f"{role}={other.ref}" for role, other in sorted(ctx.data.items()))
        return Evidence(
            metrics={
                "rows": float(data.rows),
                "contaminated_rows": float(len(ordered)),
                "contaminated_share": len(ordered) / data.rows,
                "exact_rows": float(exact),
                "near_rows": float(len(ordered) - exact),
            },
            facts={
                **{role: other.ref for role, other in ctx.data.items()},
                **{f"{role}.digest": other.digest for role, other in ctx.data.items()},
                "against": against,
                "method": f"same text; a passage of {config.passage} words; {config.overlap:.0%} of the "
                f"{config.shingle}-word shingles in one text, from {config.min_words} words on",
            },
            coverage=len(texts) / data.rows,
            summary=f"{len(ordered)} of {data.rows} rows stand in {against} too: {exact} word for word, "
            f"{len(ordered) - exact} nearly",
            tables={"against": by_role, "contaminated": [hit._asdict() for hit in ordered[:_SHOWN]]},
            files=(_write(ordered, ctx.folder / "contaminated.parquet"),),
        )


def _texts(data: DatasetInput) -> dict[int, str]:
    """Text of every row that has one, by row number."""
    column = read_rows(data)[data.column("text")].to_pylist()
    texts = {row: text for row, text in enumerate(column) if text and not text.isspace()}
    if not texts:
        raise BadTable(f"no row of {data.ref} has a text", hint=f"phasegate run profile {data.ref}")
    return texts


def _hits(
    ctx: RunContext,
    config: ContaminationConfig,
    texts: dict[int, str],
    tokens: TokenizedTexts,
    role: str,
    other: DatasetInput,
) -> Iterator[Hit]:
    """Rows that stand in one other dataset."""
    theirs = _texts(other)
    rows = list(theirs)
    keys: dict[str, int] = {}
    for row, text in theirs.items():
        keys.setdefault(text_key(text), row)
    ctx.check_cancelled()
    their_tokens = TokenizedTexts(theirs.values())
    passages, shingles = GramIndex(their_tokens, config.passage), GramIndex(their_tokens, config.shingle)
    passage_grams, passage_starts = tokens.grams(config.passage)
    shingle_grams, shingle_starts = tokens.grams(config.shingle)
    lengths = tokens.lengths
    for place, (row, text) in enumerate(texts.items()):
        if place % 1024 == 0:
            ctx.check_cancelled()
            ctx.progress(place, len(texts), f"rows looked for in {other.ref}")
        if (same := keys.get(text_key(text))) is not None:
            yield Hit(row, role, same, "exact", 1.0)
            continue
        alike = None
        if lengths[place] >= config.min_words:
            alike = shingles.most_alike(
                shingle_grams[shingle_starts[place] : shingle_starts[place + 1]], config.overlap
            )
        if alike is not None:
            yield Hit(row, role, rows[alike[0]], "near", alike[1])
            continue
        owner = passages.first_owner(passage_grams[passage_starts[place] : passage_starts[place + 1]])
        if owner is not None:
            yield Hit(row, role, rows[owner], "passage", 0.0)


def _write(hits: list[Hit], path: Path) -> Path:
    """Write them as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (pa.int64(), pa.string(), pa.int64(), pa.string(), pa.float64())
    schema = pa.schema(list(zip(Hit._fields, types, strict=True)))
    rows: list[dict[str, Any]] = [hit._asdict() for hit in hits]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path
