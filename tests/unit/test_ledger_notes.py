"""Keys, notes and checkpoints, as others in the world write them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput, IntegrityViolated
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint, parse_checkpoints
from registry.ledger.keys import Kind, SigningKey, VerifierKey, check_key_name
from registry.ledger.notes import Note, cosigners

# From the tests of Go's golang.org/x/mod/sumdb/note. Ed25519 is deterministic: every byte must be the same.
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
# The example of c2sp.org/signed-note.
C2SP_VERIFIER = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = """\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
# A checkpoint of a public certificate-transparency log, cosigned by public witnesses.
CT_LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
CT_WITNESSES = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
]
CT_CHECKPOINT = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
"""  # noqa: E501

LOG = SigningKey("example.com/ledger", Kind.LOG, bytes(range(32)))
WITNESS = SigningKey("w1.example", Kind.WITNESS, bytes(range(32, 64)))
CHECKPOINT = Checkpoint("example.com/ledger", 7, hashlib.sha256(b"root").digest())


# -- what others wrote ---------------------------------------------------------------------------


def test_signing_gives_the_bytes_that_go_gives() -> None:
    key = SigningKey.parse(GO_SIGNER)
    assert str(key.verifier) == GO_VERIFIER
    assert key.text() == GO_SIGNER
    text = GO_NOTE.rpartition("\n\n")[0] + "\n"
    assert str(Note(text).sign(key)) == GO_NOTE


@pytest.mark.parametrize(("key", "note"), [(GO_VERIFIER, GO_NOTE), (C2SP_VERIFIER, C2SP_NOTE)])
def test_notes_of_others_are_read_and_verified(key: str, note: str) -> None:
    known = VerifierKey.parse(key)
    assert str(known) == key
    read = Note.parse(note)
    assert str(read) == note
    assert list(read.signers([known])) == [known]


def test_a_checkpoint_of_a_public_log_and_its_witnesses() -> None:
    (read,) = parse_checkpoints(CT_CHECKPOINT)
    log, witnesses = VerifierKey.parse(CT_LOG), [VerifierKey.parse(key) for key in CT_WITNESSES]
    assert read.check_signature([log]) == log
    assert read.checkpoint.size == 1432088532
    assert str(read.note) == CT_CHECKPOINT
    assert cosigners(read.note, [log, *witnesses]) == dict.fromkeys(witnesses, 1779573024)


def test_a_cosignature_signs_what_the_specification_says() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    note = CHECKPOINT.signed(LOG).sign(WITNESS, at=1679315147)
    value = note.signatures[1].value
    assert int.from_bytes(value[:8]) == 1679315147
    message = f"cosignature/v1\ntime 1679315147\n{CHECKPOINT.text}".encode()
    Ed25519PublicKey.from_public_bytes(WITNESS.verifier.public).verify(value[8:], message)


# -- keys ----------------------------------------------------------------------------------------


@given(st.sampled_from(Kind), st.binary(min_size=32, max_size=32))
def test_keys_survive_being_written(kind: Kind, seed: bytes) -> None:
    key = SigningKey("example.com/ledger", kind, seed)
    assert SigningKey.parse(key.text()) == key
    assert VerifierKey.parse(str(key.verifier)) == key.verifier


def test_generated_keys_differ_and_do_not_print_their_secret() -> None:
    one, other = (SigningKey.generate("a", Kind.LOG) for _ in range(2))
    assert one.seed != other.seed
    assert str(list(one.seed)) not in repr(one)
    assert repr(one.seed) not in repr(one)
    assert "seed" not in repr(one)


def test_every_changed_character_of_a_key_is_found() -> None:
    for text, parse in ((GO_VERIFIER, VerifierKey.parse), (GO_SIGNER, SigningKey.parse)):
        for place in range(len(text)):
            for cut in (text[:place] + chr(ord(text[place]) + 1) + text[place + 1 :], text[:place]):
                with pytest.raises(BadInput):
                    parse(cut)


def test_a_damaged_signing_key_is_not_shown() -> None:
    with pytest.raises(BadInput) as found:
        SigningKey.parse(GO_SIGNER[:-1])
    assert "AYEKFALVFGyNhPJEMzD1QIDr" not in str(found.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # too long
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # an unknown algorithm
        GO_SIGNER,
    ],
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(BadInput):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\u2003b", "\x1b[31m", "x" * 101])
def test_names_that_a_note_cannot_hold(name: str) -> None:
    with pytest.raises(BadInput):
        check_key_name(name)


# -- notes ---------------------------------------------------------------------------------------


def test_a_note_is_for_known_keys_only() -> None:
    note = CHECKPOINT.signed(LOG)
    other = SigningKey(LOG.name, Kind.LOG, bytes(32))
    assert note.signers([other.verifier, WITNESS.verifier]) == {}
    assert set(note.sign(other).signers([LOG.verifier, other.verifier])) == {LOG.verifier, other.verifier}


def test_a_changed_text_breaks_every_signature() -> None:
    note = CHECKPOINT.signed(LOG).sign(WITNESS, at=1)
    forged = Note(note.text.replace("7", "8"), note.signatures)
    for key in (LOG.verifier, WITNESS.verifier):
        assert set(note.signers([key])) == {key}
        with pytest.raises(IntegrityViolated, match=r"is not of that key"):
            forged.signers([key])


def test_a_witness_cannot_have_signed_at_another_time() -> None:
    note = CHECKPOINT.signed(LOG).sign(WITNESS, at=1000)
    mine = note.signatures[1]
    forged = type(mine)(mine.name, mine.id, (2000).to_bytes(8) + mine.value[8:])
    with pytest.raises(IntegrityViolated):
        cosigners(Note(note.text, (forged,)), [WITNESS.verifier])


def test_a_signature_takes_the_place_of_an_older_one_of_the_same_key() -> None:
    note = CHECKPOINT.signed(LOG).sign(WITNESS, at=1).sign(WITNESS, at=2)
    assert len(note.signatures) == 2
    assert cosigners(note, [WITNESS.verifier]) == {WITNESS.verifier: 2}
    older = CHECKPOINT.signed(LOG).sign(WITNESS, at=1)
    assert older.joined(note) == note.joined(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\n",
        "\n\n— a c2lnbmF0dXJl\n",
        "text\n\n— a c2lnbmF0dXJl",  # no line feed at the end
        "text\n\n- a c2lnbmF0dXJl\n",  # no em dash
        "text\n\n— a c2ln\n",  # no more than the id
        "text\n\n— a c2lnbmF0dXJl=\n",
        "text\n\n— a  c2lnbmF0dXJl\n",
        "text\n\n— a+b c2lnbmF0dXJl\n",
        "te\rxt\n\n— a c2lnbmF0dXJl\n",
        "te\x00xt\n\n— a c2lnbmF0dXJl\n",
        "text\n\n" + "— a c2lnbmF0dXJl\n" * 101,
    ],
)
def test_what_is_no_note(text: str) -> None:
    with pytest.raises(BadInput):
        Note.parse(text)


# -- checkpoints ---------------------------------------------------------------------------------


@given(st.integers(0, 10**18), st.binary(min_size=32, max_size=32))
def test_checkpoints_survive_being_written(size: int, root: bytes) -> None:
    made = Checkpoint("example.com/ledger", size, root)
    assert Checkpoint.parse(made.text) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        "origin\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(32)).decode() + "\n\nmore\n",
        "origin\n1\n" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(BadInput):
        Checkpoint.parse(text)


def test_extension_lines_are_signed_and_passed_over() -> None:
    text = CHECKPOINT.text + "an extension\n"
    read = SignedCheckpoint.of(Note(text).sign(LOG))
    assert read.checkpoint == CHECKPOINT
    assert read.check_signature([LOG.verifier]) == LOG.verifier


def test_only_a_ledgers_own_key_signs_its_checkpoints() -> None:
    stranger = SigningKey("example.com/other", Kind.LOG, bytes(32))
    signed = SignedCheckpoint.of(CHECKPOINT.signed(stranger))
    with pytest.raises(IntegrityViolated, match=r"none of them is a known key of that ledger"):
        signed.check_signature([stranger.verifier, LOG.verifier])


@pytest.mark.parametrize("between", ["", "\n", "\n\n\n"])
def test_a_file_of_checkpoints(between: str) -> None:
    notes = [str(Checkpoint("o", size, bytes(32)).signed(LOG).sign(WITNESS, 5)) for size in range(4)]
    read = parse_checkpoints(between + between.join(notes) + between)
    assert [found.checkpoint.size for found in read] == [0, 1, 2, 3]
    assert [str(found.note) for found in read] == notes
    assert parse_checkpoints("") == parse_checkpoints("\n\n") == []


def test_a_damaged_file_of_checkpoints_says_where() -> None:
    note = str(CHECKPOINT.signed(LOG))
    with pytest.raises(BadInput, match=r"^from line 6 on"):
        parse_checkpoints(note + "torn")
    with pytest.raises(BadInput):
        parse_checkpoints(note[:-20])
