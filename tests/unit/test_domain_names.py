"""Names and references: what can be written can be read back, and nothing else gets in."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.domain.names import check_name, did_you_mean, nearest
from registry.domain.references import Ref
from registry.errors import BadInput, BadName, BadReference

LETTERS = string.ascii_letters + string.digits
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True).filter(
    lambda name: ".." not in name
)
refs = st.builds(Ref, names, st.integers(1, 999_999_999))


@given(names)
def test_a_name_of_plain_characters_is_taken_as_it_is(name: str) -> None:
    assert check_name(name) == name


@given(st.text())
def test_any_other_text_is_refused_or_safe(text: str) -> None:
    with contextlib.suppress(BadName):
        check_name(text)
        assert text[0] in LETTERS
        assert set(text) <= set(LETTERS + "._-")
        assert ".." not in text
        assert len(text) <= 100


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "the model's name is empty"),
        ("a/b", "it holds '/'"),
        ("a b", "it holds ' '"),
        ("a\n", "it holds '\\n'"),
        ("größe", "it holds 'ß', 'ö'"),
        ("..", "begin with a letter or digit and hold no '..'"),
        ("a..b", "hold no '..'"),
        (".hidden", "begin with a letter or digit"),
        ("-rf", "begin with a letter or digit"),
        ("x" * 300, "has 300 characters: at most 100 (it begins 'xxxxxxxxxxxxxxxxxxxxxxxx')"),
    ],
)
def test_a_refused_name_says_why(name: str, says: str) -> None:
    with pytest.raises(BadName) as caught:
        check_name(name, "the model's name")
    assert says in caught.value.message


@given(refs)
def test_a_reference_reads_back_in_both_spellings(ref: Ref) -> None:
    assert Ref.parse(str(ref)) == ref
    assert Ref.parse(f"models:/{ref}") == ref


@given(st.text())
def test_any_text_is_a_reference_that_writes_itself_or_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        ref = Ref.parse(text)
        assert text in (str(ref), f"models:/{ref}")


@pytest.mark.parametrize("number", ["0", "01", "-1", "1.0", "x", "", " 1", "1 ", "1\n", "٣", "9999999999"])
def test_a_version_number_counts_from_one(number: str) -> None:
    with pytest.raises(BadReference, match="no version number") as caught:
        Ref.parse(f"loans/{number}")
    assert caught.value.hint == "versions are 1, 2, 3, ..."


def test_a_name_without_a_number_says_how_to_write_it() -> None:
    with pytest.raises(BadReference) as caught:
        Ref.parse("loans")
    assert caught.value.hint == "write loans/1 for its first version"


def test_references_sort_by_name_then_number() -> None:
    mixed = [Ref("b", 1), Ref("a", 10), Ref("a", 9)]
    assert [str(ref) for ref in sorted(mixed)] == ["a/9", "a/10", "b/1"]


@given(st.lists(names, min_size=1, unique=True), st.data())
def test_a_known_name_is_its_own_nearest(known: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(known))
    assert nearest(name, known) == name


@given(names, names)
def test_a_name_nothing_like_the_known_ones_gets_all_of_them(name: str, known: str) -> None:
    assume(not set(name.lower()) & set(known.lower()))
    assert did_you_mean(name, [known]) == f"known: {known}"
    assert did_you_mean(name, []) == ""


def test_a_slip_of_the_finger_is_named() -> None:
    assert did_you_mean("evaluted", ["planned", "evaluated"]) == "did you mean 'evaluated'?"
