"""`phasegate policy test`: policies, tried on given dossiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.render import table
from registry.cli.shell import Shell, example, with_shell

if TYPE_CHECKING:
    from registry.policy.cases.report import CaseReport

_COLUMNS = ("pass", "fail", "missing", "insufficient", "error", "waived", "not-applicable")


@click.command(
    "test",
    epilog=example(
        "phasegate policy test policies --require-coverage",
        "phasegate policy test fairness.yaml --mutate --junit policy-tests.xml",
    ),
)
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--lifecycle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Whose steps there are [the shipped one].",
)
@click.option(
    "--cover",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="RATE",
    help="Fail if cases show less than this share of outcomes, 0 to 1.",
)
@click.option("--require-coverage", is_flag=True, help="The same as --cover 1.")
@click.option("--mutate", is_flag=True, help="Change every operator and number: fail if no case notices.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write JUnit XML."
)
@with_shell
def test(
    shell: Shell,
    paths: tuple[Path, ...],
    lifecycle: Path | None,
    cover: float,
    require_coverage: bool,
    mutate: bool,
    junit: Path | None,
) -> int:
    """Judge the cases of policies: what each rule must say of a given dossier. Needs no registry.

    Cases stand in YAML files (kind: PolicyCases) beside the policies or in a folder 'cases' there. An empty
    set of cases fails. Exits with 1 if a case fails, 2 if a file cannot be used.
    """
    from registry.usecases.policy_testing import try_policies

    report = try_policies(
        paths, lifecycle=lifecycle, wanted=1.0 if require_coverage else cover, mutate=mutate
    )
    if junit is not None:
        _write_junit(junit, report)
    shell.answer(_as_json(report), lambda: _say(report))
    return 0 if report.passed else 1


def _say(report: CaseReport) -> None:
    from registry.policy.cases.junit import told

    table(["policy", "rule", *_COLUMNS], [_row(one) for one in _rows(report)], nothing="no rules")
    click.echo()
    for result in report.failed:
        click.echo(f"FAILED {result.file}:{result.line}: {result.policy}: {result.name}")
        for line in told(result).splitlines():
            click.echo(f"  {line}")
    for _, text in report.complaints:
        first, *rest = text.splitlines()
        click.echo(f"FAILED {first}")
        for line in rest:
            click.echo(f"  {line}")
    click.echo(report.summary)


def _rows(report: CaseReport) -> list[dict[str, str]]:
    """The table of coverage: in how many cases a rule had an outcome, `none` where that is wanted."""
    rows = []
    for one in report.coverage:
        cells = {
            outcome: str(one.cases.get(outcome) or ("none" if outcome in one.wanted else "-"))
            for outcome in _COLUMNS
        }
        rows.append({"policy": one.policy, "rule": one.rule, **cells})
    return rows


def _row(cells: dict[str, str]) -> list[str]:
    return [cells[name] for name in ("policy", "rule", *_COLUMNS)]


def _as_json(report: CaseReport) -> dict[str, object]:
    return {
        "passed": report.passed,
        "cases": [
            {"policy": one.policy, "name": one.name, "file": one.file, "line": one.line, "wrong": one.wrong}
            for one in report.results
        ],
        "coverage": {
            "rate": report.rate,
            "wanted": report.wanted,
            "rules": [
                {
                    "policy": one.policy,
                    "rule": one.rule,
                    "cases": dict(one.cases),
                    "lacking": list(one.lacking),
                    "never": list(one.never),
                }
                for one in report.coverage
            ],
        },
        "mutants": {"tried": report.mutants, "surviving": [one.text for one in report.surviving]},
        "complaints": [text for _, text in report.complaints],
    }


def _write_junit(path: Path, report: CaseReport) -> None:
    from registry.errors import BadInput
    from registry.files import write_atomically
    from registry.policy.cases.junit import to_junit

    try:
        write_atomically(path, to_junit(report.results, report.complaints))
    except OSError as cause:
        raise BadInput(f"{path} cannot be written: {cause.strerror}") from cause
