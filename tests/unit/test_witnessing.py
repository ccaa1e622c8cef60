"""What a witness remembers, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.test_ledger_proofs import LEAVES, consistency, mth

from registry.errors import BadInput, IntegrityViolated
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import Kind, SigningKey
from registry.ledger.witnessing import Memory, check_growth, cosign

LOG = SigningKey("example.com/ledger", Kind.LOG, bytes(range(32)))
OTHER = SigningKey("example.com/ledger", Kind.LOG, bytes(32))
WITNESS = SigningKey("w1.example", Kind.WITNESS, bytes(range(32, 64)))
sizes = st.integers(1, len(LEAVES))


def there(size: int) -> Checkpoint:
    return Checkpoint(LOG.name, size, mth(LEAVES[:size]))


@given(sizes, sizes)
def test_growth_is_all_that_is_signed(one: int, other: int) -> None:
    old, new = sorted((one, other))
    check_growth(there(old), there(new), consistency(old, new))
    if old < new:
        with pytest.raises(IntegrityViolated, match=r"has shrunk: this witness saw \d+ entries"):
            check_growth(there(new), there(old), [])
        with pytest.raises(IntegrityViolated, match=r"has forked"):
            check_growth(Checkpoint(LOG.name, old, bytes(32)), there(new), consistency(old, new))
    with pytest.raises(IntegrityViolated, match=r"has forked"):
        check_growth(there(old), Checkpoint(LOG.name, new, bytes(32)), consistency(old, new))


def test_a_witness_remembers_keys_and_the_last_checkpoint_of_each_ledger() -> None:
    memory = Memory().trusting([LOG.verifier])
    signed = SignedCheckpoint.of(there(5).signed(LOG))
    assert memory.last_of(signed) is None
    memory = memory.having_signed(cosign(signed, WITNESS, at=7)).trusting([OTHER.verifier, LOG.verifier])
    assert memory.last_of(SignedCheckpoint.of(there(9).signed(OTHER))) == there(5)
    assert memory.keys_of(LOG.name) == (LOG.verifier, OTHER.verifier)
    assert memory.keys_of("example.com/unknown") == ()
    assert Memory.parse(str(memory)) == memory
    assert Memory.parse(str(Memory())) == Memory()


def test_a_ledger_that_is_not_known_or_did_not_sign() -> None:
    signed = SignedCheckpoint.of(there(5).signed(OTHER))
    with pytest.raises(BadInput, match=r"knows no ledger example.com/ledger"):
        Memory().last_of(signed)
    with pytest.raises(IntegrityViolated, match=r"none of them is a known key"):
        Memory().trusting([LOG.verifier]).last_of(signed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"ledgers": []}',
        '{"ledgers": {"o": {}}}',
        '{"ledgers": {"o": {"keys": ["x"], "last": ""}}}',
    ],
)
def test_what_no_witness_wrote(text: str) -> None:
    with pytest.raises(BadInput):
        Memory.parse(text)
