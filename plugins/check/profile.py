"""Profile: what a table holds, how complete it is and how balanced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext
from registry.extension.inputs import ColumnRoles
from registry.extension.tables import ANY_TEXT, read_rows, readable_columns, text_columns, texts_of

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[dict[str, Any]]


class Profile(CheckPlugin[PluginConfig]):
    """Quality figures of a table: completeness, duplicates, balance of classes and groups, text lengths."""

    name = "profile"
    subject = "dataset"
    evidence = "data.quality"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        """Measure the table. A cell is missing if it is null or an empty text; lengths are in characters.

        Figures about text, label and groups are given if the dataset says which columns those are.

        Raises:
            BadTable: The dataset has no rows, lacks a column that it names, or its text column holds no text.
        """
        import pyarrow as pa

        table = read_rows(ctx.dataset, ANY_TEXT)
        roles = ctx.dataset.columns
        columns = _columns(ctx, table, roles)
        completeness = sum(column["completeness"] for column in columns) / len(columns)
        metrics = {
            "rows": float(table.num_rows),
            "columns": float(table.num_columns),
            "completeness": completeness,
            "duplicate_share": _duplicate_share(table),
        }
        tables = {"columns": columns}
        if roles.text:
            metrics |= _lengths(pa.chunked_array([pa.array(texts_of(table[roles.text]), pa.string())]))
        if roles.label:
            tables["classes"] = classes = _shares(table, roles.label)
            metrics["label.classes"] = float(len(classes))
            metrics["label.minority_share"] = min((row["share"] for row in classes), default=0.0)
            metrics["label.missing_share"] = table[roles.label].null_count / table.num_rows
        if roles.sensitive:
            tables["groups"] = groups = [row for name in roles.sensitive for row in _shares(table, name)]
            metrics["group.smallest_share"] = min((row["share"] for row in groups), default=0.0)

        duplicates = metrics["duplicate_share"]
        summary = f"{table.num_rows} rows, {completeness:.1%} complete, {duplicates:.1%} duplicates"
        return Evidence(metrics=metrics, summary=summary, tables=tables)


def _columns(ctx: RunContext, table: pa.Table, roles: ColumnRoles) -> Rows:
    """Per column: type, role, completeness and number of different values."""
    import pyarrow.compute as pc

    named = dict.fromkeys(roles.sensitive, "sensitive")
    named |= {getattr(roles, role): role for role in ("label", "image", "text")}
    texts = text_columns(table)
    rows = []
    for done, name in enumerate(table.column_names, 1):
        ctx.check_cancelled()
        column = table[name]
        missing = column.null_count
        if name in texts:
            missing += pc.sum(pc.equal(pc.utf8_length(column), 0)).as_py() or 0
        rows.append(
            {
                "column": name,
                "type": str(column.type),
                "role": named.get(name, ""),
                "completeness": 1 - missing / table.num_rows,
                "distinct": _distinct(column),
            }
        )
        ctx.progress(done, table.num_columns, "columns measured")
    return rows


def _distinct(column: pa.ChunkedArray) -> int | None:
    """Number of different values, or None if they cannot be compared, like lists."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type):
        return None
    known = column.drop_null()
    return int(pc.count_distinct(known).as_py()) if len(known) else 0


def _duplicate_share(table: pa.Table) -> float:
    """Share of rows that repeat an earlier one in every column whose values can be compared."""
    import pyarrow as pa

    for name in readable_columns(table):
        if pa.types.is_nested(table[name].type):
            table = table.set_column(
                table.schema.get_field_index(name), name, pa.array(texts_of(table[name]), pa.string())
            )
    names = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    if not names:
        return 0.0
    different: int = table.group_by(names).aggregate([]).num_rows
    return float(1 - different / table.num_rows)


def _lengths(column: pa.ChunkedArray) -> dict[str, float]:
    """Lengths of the texts; a missing one has length 0."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.utf8_length(column), 0)
    median, p95 = pc.quantile(lengths, q=[0.5, 0.95]).to_pylist()
    return {
        "text.length.median": median,
        "text.length.p95": p95,
        "text.empty_share": pc.mean(pc.equal(lengths, 0)).as_py(),
    }


def _shares(table: pa.Table, name: str) -> Rows:
    """Rows per value of a column, largest first; shares are of the rows that have one.

    A list is counted by its elements: tags, or the labels of the objects in a picture.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = table[name].drop_null()
    if pa.types.is_list(known.type):
        known = pc.list_flatten(known)
    if pa.types.is_struct(known.type) and known.type.get_field_index("label") >= 0:
        known = pc.struct_field(known, "label")
    if pa.types.is_nested(known.type):
        return []
    counted = pc.value_counts(known).to_pylist()
    rows = [
        {
            "column": name,
            "value": str(each["values"]),
            "rows": each["counts"],
            "share": each["counts"] / len(known),
        }
        for each in counted
    ]
    return sorted(rows, key=lambda row: (-row["rows"], row["value"]))
