"""Every command, walked: help, examples, and the options that all of them have."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from cli.command import Phasegate

from registry.cli.main import COMMANDS, cli


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, groups included, with the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))


TREE = dict(walk(cli))
LEAVES = {path: command for path, command in TREE.items() if not isinstance(command, click.Group)}
WITHOUT_REGISTRY = {("completion",)}


def named(path: tuple[str, ...]) -> str:
    return " ".join(path)


def test_the_tree_holds_what_users_were_promised() -> None:
    promised = """
    init | demo | doctor | system add | system list | system show | dataset add | dataset list | dataset show
    | model plan | model data | model design | model list | model show | model history | run | runs list
    | runs show | runs logs | runs cancel | runs resume | runs replay | runs export
    | gate explain | promote | approve | reject
    | policy list | policy show | policy check | policy test | policy publish | policy bind | policy unbind
    | policy replay | model alias | people list | people show | people grant | people revoke | people delegate
    | people undelegate | people group add | people group join | people group leave | waive | waiver list
    | waiver show | waiver approve | waiver reject | waiver revoke | finding add | finding list | finding show
    | finding close | risk add | risk list | risk show | risk change | risk accept | risk close
    | system change | system assess | system questions | sign | key make | key trust | key list
    | key distrust | key check
    | deployment list | deployment show | deployment stop | audit log | audit verify | audit key
    | audit checkpoint | audit witness | audit prove | audit verifier | audit erase | report | plugin list
    | plugin show | db upgrade | completion
    """
    assert {tuple(words.split()) for words in promised.split("|")} <= LEAVES.keys()


@pytest.mark.parametrize("path", TREE, ids=named)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    help_text = TREE[path].help or ""
    first = help_text.strip().split("\n", 1)[0]
    assert len(first) > 10
    assert first.endswith(".")
    assert not first.endswith("..."), "cut"


@pytest.mark.parametrize("path", LEAVES, ids=named)
def test_every_command_has_an_example_of_itself(path: tuple[str, ...], phasegate: Phasegate) -> None:
    shown = phasegate(*path, "--help").out
    assert "Example:" in shown
    assert f"phasegate {named(path)}" in shown.split("Example:")[1]


@pytest.mark.parametrize("path", LEAVES, ids=named)
def test_every_example_parses(path: tuple[str, ...]) -> None:
    """Examples are what people copy: each option and argument in them exists."""
    epilog = LEAVES[path].epilog or ""
    lines = [line.strip() for line in epilog.splitlines() if line.strip().startswith("phasegate ")]
    for line in lines:
        words = shlex.split(line)[1:]
        assert tuple(words[: len(path)]) == path, line
        LEAVES[path].make_context(named(path), words[len(path) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_each_says_of_itself(name: str) -> None:
    words = " ".join((TREE[name,].help or "").split())
    assert re.split(r"(?<=\.)\s", words)[0] == COMMANDS[name][1]


@pytest.mark.parametrize("path", sorted(LEAVES.keys() - WITHOUT_REGISTRY), ids=named)
def test_every_command_takes_the_common_options(path: tuple[str, ...]) -> None:
    options = {text for parameter in LEAVES[path].params for text in parameter.opts}
    assert {"--json", "--as", "--home", "--database", "--debug"} <= options


@pytest.mark.parametrize("path", LEAVES, ids=named)
def test_every_option_is_described(path: tuple[str, ...]) -> None:
    for parameter in LEAVES[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{named(path)} {parameter.opts}"


def test_help_lists_every_command_and_exit_code(phasegate: Phasegate) -> None:
    shown = phasegate("--help").out
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in shown
        assert text.split()[0] in shown
    flowing = " ".join(shown.split())
    for meaning in (
        "0 done",
        "1 a gate or check said no",
        "2 bad input",
        "3 a run failed",
        "4 integrity violated",
        "70 a defect",
    ):
        assert meaning in flowing


def test_version(phasegate: Phasegate) -> None:
    from importlib.metadata import version

    assert phasegate("--version").out == f"phasegate, version {version('phasegate')}\n"


@pytest.mark.parametrize("short", ["-h", "--help"])
@pytest.mark.parametrize("path", [(), ("runs",), ("runs", "list")], ids=named)
def test_help_is_a_success(path: tuple[str, ...], short: str, phasegate: Phasegate) -> None:
    answer = phasegate(*path, short)
    assert answer.out.startswith(f"Usage: {named(('phasegate', *path))}")
    assert answer.err == ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("promot",), "'promote'"),
        (("rnus",), "'runs'"),
        (("datset", "list"), "'dataset'"),
        (("runs", "lst"), "'list'"),
        (("policy", "chekc", "x.yaml"), "'check'"),
        (("runs", "list", "--sate", "lost"), "'--state'"),
        (("run", "profile", "a/1", "--tiemout", "3"), "'--timeout'"),
        (("model", "list", "--jsn"), "'--json'"),
    ],
)
def test_a_typing_error_is_answered_with_the_nearest(
    typed: tuple[str, ...], meant: str, phasegate: Phasegate
) -> None:
    answer = phasegate.refuses(*typed)
    assert meant in answer.err


@pytest.mark.parametrize("path", [(), ("runs",), ("model",)], ids=named)
def test_a_group_alone_shows_its_commands(path: tuple[str, ...], phasegate: Phasegate) -> None:
    answer = phasegate(*path, expect=2)
    assert "Commands:" in answer.err
