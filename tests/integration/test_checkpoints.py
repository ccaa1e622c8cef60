"""The ledger against a database's owner who rewrites it: keys, checkpoints, witnesses and proofs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from integration.builder import Builder
from integration.conftest import Databases
from integration.forging import ENTRIES, forging, rewrite, truncate
from sqlalchemy import select, update

from registry.api import Registry
from registry.domain.events import ActorAdded, LedgerKeyRotated
from registry.errors import AlreadyExists, BadInput, IntegrityViolated, NotFound
from registry.ledger import verify_proof
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import Kind, SigningKey, VerifierKey
from registry.ledger.notes import Note, cosigners
from registry.storage.checkpoint_files import add_checkpoint, read_checkpoints
from registry.storage.key_files import read_signing_key, read_verifier_keys, write_signing_key
from registry.storage.ledger_nodes import consistency_proof, inclusion_proof, read_tree, root_at, roots_at
from registry.usecases import ledger_keys

NAME = "example.com/ledger"


@pytest.fixture
def signed(builder: Builder) -> Builder:
    """A registry whose ledger has a key and one checkpoint."""
    owner = builder.acting("root")
    owner.ledger.make_key(name=NAME)
    owner.ledger.checkpoint()
    return builder


def own_file(builder: Builder) -> Path:
    """The checkpoints of the home."""
    return builder.home.checkpoints / "example.com_ledger.checkpoints"


def happen(builder: Builder, times: int = 1) -> None:
    """Let something happen that the ledger tells."""
    with builder.database.write("root") as work:
        for number in range(times):
            work.record(ActorAdded("actor:1", f"something {number}"))


def size_of(builder: Builder) -> int:
    with builder.database.read() as session:
        return read_tree(session).size


def short(verifier: str) -> str:
    return VerifierKey.parse(verifier).short


def problems(builder: Builder, *files: Path, keys: tuple[str, ...] = ()) -> list[str]:
    return builder.acting("auditor").verify(checkpoints=files, keys=keys).problems


# -- proofs from the database --------------------------------------------------------------------


def test_roots_and_proofs_of_every_size(builder: Builder) -> None:
    from unit.test_ledger_proofs import mth, path, subproof

    happen(builder, 7)
    with builder.database.read() as session:
        leaves = [row.header for row in session.execute(select(ENTRIES).order_by(ENTRIES.c.index))]
        every = range(len(leaves) + 1)
        assert roots_at(session, every) == {size: mth(leaves[:size]) for size in every}
        assert read_tree(session).root == root_at(session, len(leaves)) == mth(leaves)
        for size in range(1, len(leaves) + 1):
            assert root_at(session, size) == mth(leaves[:size]) == roots_at(session, [size])[size]
            assert inclusion_proof(session, size // 2, size) == path(size // 2, leaves[:size])
            assert consistency_proof(session, size, len(leaves)) == subproof(size, leaves)
        for wrong in (lambda: inclusion_proof(session, 5, 5), lambda: consistency_proof(session, 6, 5)):
            with pytest.raises(BadInput):
                wrong()


# -- keys ----------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_for_its_owner_only(builder: Builder) -> None:
    ledger = builder.acting("root").ledger
    assert ledger.key() is None
    made = ledger.make_key(name=NAME)
    file = builder.home.root / "keys" / "ledger.key"
    assert (made.origin, made.file, made.here, made.earlier) == (NAME, str(file), True, [])
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.with_suffix(".pub").read_text() == f"{made.verifier}\n"
    assert ledger.make_key() == ledger.make_key(name=NAME) == ledger.key() == made
    entries = builder.acting("root").log(action="ledger-key-made")
    assert [entry.payload for entry in entries] == [{"verifier": made.verifier}]
    secret = file.read_text().strip().split("+", 4)[-1]  # it may hold a + of its own
    assert len(secret) > 40
    with builder.database.read() as session:
        assert all(secret not in str(row) for row in session.execute(select(ENTRIES)))
    with pytest.raises(BadInput, match=r"for ever"):
        ledger.make_key(name="example.com/other")


def test_without_a_name_one_is_made_up_that_is_the_ledgers_alone(builder: Builder) -> None:
    made = builder.acting("root").ledger.make_key()
    with builder.database.read() as session:
        first = session.execute(select(ENTRIES.c.leaf).where(ENTRIES.c.index == 0)).scalar_one()
    assert made.origin == f"phasegate.local/{first.hex()[:16]}"


def test_the_key_may_lie_elsewhere(builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = builder.acting("root").ledger
    file = tmp_path / "safe" / "signing"
    made = ledger.make_key(file, name=NAME)
    assert (tmp_path / "safe" / "signing.pub").read_text() == f"{made.verifier}\n"
    assert not (builder.home.root / "keys").exists()
    with pytest.raises(NotFound, match=r"signing key .* is not at .*keys/ledger.key"):
        ledger.checkpoint()
    assert ledger.key() == replace(made, file=str(builder.home.root / "keys" / "ledger.key"), here=False)
    assert ledger.checkpoint(file).signed_by == [short(made.verifier)]
    monkeypatch.setenv("PHASEGATE_LEDGER_KEY", str(file))
    assert ledger.key() == made
    assert problems(builder) == []


def test_a_key_that_lies_there_is_taken(builder: Builder) -> None:
    """Also after somebody was interrupted between the file and the entry."""
    key = SigningKey.generate(NAME, Kind.LOG)
    write_signing_key(builder.home.ledger_key, key)
    assert builder.acting("root").ledger.make_key().verifier == str(key.verifier)
    with pytest.raises(AlreadyExists):
        write_signing_key(builder.home.ledger_key, key)


def test_keys_that_are_not_taken(builder: Builder) -> None:
    ledger, file = builder.acting("root").ledger, builder.home.ledger_key
    with pytest.raises(NotFound, match=r"nobody signs this ledger yet"):
        ledger.checkpoint()
    with pytest.raises(BadInput, match=r"cannot be the name of a key"):
        ledger.make_key(name="a b")
    write_signing_key(file, SigningKey.generate(NAME, Kind.WITNESS))
    with pytest.raises(BadInput, match=r"cannot sign"):
        ledger.make_key()
    file.unlink()
    file.write_text("nonsense")
    file.chmod(0o600)
    with pytest.raises(BadInput, match=r"ledger.key: this is no signing key"):
        ledger.make_key()
    file.unlink()
    ledger.make_key(name=NAME)
    file.chmod(0o640)
    with pytest.raises(BadInput, match=r"can be read by others \(mode 640\)") as found:
        ledger.checkpoint()
    assert found.value.hint.startswith("chmod 600")
    file.unlink()
    write_signing_key(file, SigningKey.generate(NAME, Kind.LOG))
    with pytest.raises(BadInput, match=r"holds the key .*: the ledger is signed by"):
        ledger.checkpoint()


def test_rotation(signed: Builder) -> None:
    ledger = signed.acting("root").ledger
    first = ledger.make_key().verifier
    old = read_signing_key(signed.home.ledger_key)
    second = ledger.rotate_key(reason="yearly").verifier
    third = ledger.rotate_key()
    assert third.earlier == [first, second]
    assert len({first, second, third.verifier}) == 3
    listed = read_verifier_keys(signed.home.ledger_key.with_suffix(".pub"))
    assert [str(key) for key in listed] == [first, second, third.verifier]
    assert ledger.checkpoint().signed_by == [short(third.verifier)]
    assert problems(signed) == []
    assert problems(signed, keys=(first,)) == []  # who trusts the first key can follow
    assert old is not None
    assert old.text() not in {path.read_text() for path in signed.home.ledger_key.parent.iterdir()}
    (told, _) = signed.acting("root").log(action="ledger-key-rotated")
    assert (told.payload["verifier"], told.payload["replaces"], told.payload["reason"]) == (
        second,
        first,
        "yearly",
    )
    # But who trusts the last key only learns that the first checkpoint is of nobody that they know.
    (problem,) = problems(signed, keys=(third.verifier,))
    assert "none of them is a known key" in problem


def test_a_rotation_that_was_cut_off_is_finished(signed: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = signed.acting("root").ledger

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ledger_keys, "replace_signing_key", die)
        with pytest.raises(KeyboardInterrupt):
            ledger.rotate_key()
    assert problems(signed) != []  # the new key is not listed yet
    made = ledger.checkpoint()
    found = ledger.key()
    assert found is not None
    assert made.signed_by == [short(found.verifier)]
    assert found.here
    assert problems(signed) == []


def test_a_rotation_that_failed_leaves_the_old_key(signed: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = signed.acting("root").ledger
    before = ledger.key()

    def refuse(*_: object) -> None:
        raise BadInput("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(ledger_keys, "LedgerKeyRotated", refuse)
        with pytest.raises(BadInput, match=r"disk is full"):
            ledger.rotate_key()
    assert ledger.key() == before
    assert ledger.rotate_key().earlier == [before.verifier if before else ""]


def test_a_lost_key(signed: Builder) -> None:
    ledger = signed.acting("root").ledger
    first = ledger.make_key().verifier
    with pytest.raises(BadInput, match=r"it is not lost"):
        ledger.rotate_key(lost=True, reason="fire")
    signed.home.ledger_key.unlink()
    with pytest.raises(NotFound):
        ledger.rotate_key()
    with pytest.raises(BadInput, match=r"needs a reason"):
        ledger.rotate_key(lost=True)
    assert ledger.rotate_key(lost=True, reason="fire").earlier == [first]
    happen(signed)
    ledger.checkpoint()
    assert problems(signed) == []
    # Nobody signed for the new key: who trusts the first one must be told.
    (problem,) = problems(signed, keys=(first,))
    assert "none of them is a known key" in problem


@pytest.mark.parametrize("how", ["no statement", "its own statement", "another key's place"])
def test_a_key_that_was_slipped_into_the_ledger(signed: Builder, how: str) -> None:
    """By whoever has the database, but not the key."""
    current = VerifierKey.parse(signed.acting("root").ledger.make_key().verifier)
    mine = SigningKey.generate(NAME, Kind.LOG)
    statement = ""
    if how == "its own statement":
        text = ledger_keys._statement(current, mine.verifier)
        statement = str(Note(text).sign(mine))
    replaced = str(mine.verifier if how == "another key's place" else current)
    with signed.database.write("mallory") as work:
        work.record(LedgerKeyRotated("ledger", str(mine.verifier), replaced, "", statement))
    found = problems(signed)
    assert any(f"the key {mine.verifier.short}, which" in problem for problem in found)
    assert any("did not sign that" in problem for problem in found) is (how == "its own statement")
    assert any("takes the place of another key" in problem for problem in found) is (
        how == "another key's place"
    )


# -- checkpoints ---------------------------------------------------------------------------------


def test_a_checkpoint_signs_what_the_ledger_is(signed: Builder) -> None:
    happen(signed, 3)
    audit = signed.acting("auditor").verify()
    made = signed.acting("root").ledger.checkpoint()
    assert (made.origin, made.size, made.root) == (NAME, audit.size, audit.root)
    assert made.files == [str(own_file(signed))]
    assert [found.checkpoint.size for found in read_checkpoints(own_file(signed))] == [
        made.size - 3,
        made.size,
    ]
    again = signed.acting("auditor").verify()
    assert (again.checkpoints, again.problems) == (2, [])


def test_the_same_checkpoint_is_kept_once(signed: Builder) -> None:
    before = own_file(signed).read_bytes()
    signed.acting("root").ledger.checkpoint()
    assert own_file(signed).read_bytes() == before


def test_a_checkpoint_goes_to_every_file(signed: Builder, tmp_path: Path) -> None:
    files = [tmp_path / "a.checkpoints", tmp_path / "new" / "b.checkpoints"]
    made = signed.acting("root").ledger.checkpoint(files=files)
    for file in files:
        (found,) = read_checkpoints(file)
        assert str(found.note) == made.note
    with pytest.raises(BadInput, match=r"cannot be written"):
        signed.acting("root").ledger.checkpoint(files=[Path("/proc/nowhere/x")])
    (tmp_path / "other").write_text("something else")
    with pytest.raises(BadInput, match=r"other: from line 1 on, this is no checkpoint"):
        signed.acting("root").ledger.checkpoint(files=[tmp_path / "other"])
    assert (tmp_path / "other").read_text() == "something else"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_checkpoint_is_committed_to_git(
    signed: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no name, no e-mail address
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [name for name in os.environ if name.startswith("GIT_") and name != "GIT_CONFIG_NOSYSTEM"]:
        monkeypatch.delenv(name)
    folder = tmp_path / "exported"
    folder.mkdir()
    ledger = signed.acting("root").ledger
    with pytest.raises(BadInput, match=r"is in no git repository") as found:
        ledger.checkpoint(git=folder)
    assert found.value.hint == f"git init {folder}"
    git(folder, "init", "--quiet")
    (folder / "other").write_text("somebody else's")
    git(folder, "add", "other")
    first = ledger.checkpoint(git=folder)
    assert first.commit == git(folder, "rev-parse", "HEAD")
    assert git(folder, "log", "-1", "--format=%an %s") == f"root Checkpoint of {NAME}: {first.size} entries"
    assert git(folder, "status", "--porcelain") == "A  other"  # what others prepared is theirs to commit
    assert ledger.checkpoint(git=folder).commit == first.commit
    happen(signed)
    assert ledger.checkpoint(git=folder).commit != first.commit
    assert git(folder, "rev-list", "--count", "HEAD") == "2"
    exported = folder / "example.com_ledger.checkpoints"
    assert len(read_checkpoints(exported)) == 2
    assert problems(signed, exported) == []
    with forging(signed) as connection:
        rewrite(connection, 3)
    with pytest.raises(IntegrityViolated, match=r"nothing is signed: history was rewritten"):
        ledger.checkpoint(git=folder)


def test_a_truncated_ledger_that_fits(signed: Builder) -> None:
    happen(signed, 4)
    size = signed.acting("root").ledger.checkpoint().size
    with forging(signed) as connection:
        truncate(connection, size - 2)
    found = problems(signed)
    assert (
        f"the ledger was truncated: {own_file(signed)} signed {size} entries, {size - 2} are there" in found
    )
    with pytest.raises(IntegrityViolated, match=r"nothing is signed: the ledger was truncated"):
        signed.acting("root").ledger.checkpoint()


def test_a_rewritten_history_that_fits(signed: Builder) -> None:
    """Everything in the database agrees with everything else: only what left it tells."""
    first = size_of(signed)
    happen(signed, 4)
    ledger = signed.acting("root").ledger
    second = ledger.checkpoint().size
    happen(signed, 4)
    ledger.checkpoint()
    with forging(signed) as connection:
        rewrite(connection, first + 1)
    (problem,) = problems(signed)
    assert problem == (
        f"history was rewritten between entries {first} and {second - 1}: the first {second} entries are "
        f"not those that {own_file(signed)} signed; 1 later checkpoints do not fit either"
    )
    with pytest.raises(IntegrityViolated):
        ledger.checkpoint()
    kept = own_file(signed).rename(own_file(signed).with_name("kept"))
    assert problems(signed) == []
    assert problems(signed, kept) != []


def test_one_entry_after_the_last_good_checkpoint(signed: Builder) -> None:
    happen(signed)
    size = signed.acting("root").ledger.checkpoint().size
    with forging(signed) as connection:
        rewrite(connection, size - 1)
    (problem,) = problems(signed)
    assert problem.startswith(f"history was rewritten at entry {size - 1}: ")


def test_a_ledger_that_lost_a_node(signed: Builder) -> None:
    happen(signed, 20)
    signed.acting("root").ledger.checkpoint()
    size = size_of(signed)
    level = size.bit_length() - 1  # the largest whole subtree, which every root needs
    with forging(signed) as connection:
        connection.exec_driver_sql(f"DELETE FROM ledger_nodes WHERE level = {level} AND position = 0")
    assert any("cannot be computed" in problem for problem in problems(signed))
    with pytest.raises(IntegrityViolated, match=rf"the ledger's tree has lost node 0 of level {level}"):
        prove(signed, size - 1)


def test_checkpoints_of_others(signed: Builder, tmp_path: Path) -> None:
    key = read_signing_key(signed.home.ledger_key)
    assert key is not None
    root = bytes(32)
    foreign = tmp_path / "foreign"
    add_checkpoint(foreign, SignedCheckpoint.of(Checkpoint("other", 1, root).signed(key)))
    assert problems(signed, foreign) == [f"{foreign}: the checkpoint of 1 entries is of other, not of {NAME}"]
    forged = tmp_path / "forged"
    stranger = SigningKey.generate(NAME, Kind.LOG)
    add_checkpoint(forged, SignedCheckpoint.of(Checkpoint(NAME, 1, root).signed(stranger)))
    (problem,) = problems(signed, forged)
    assert problem.startswith(
        f"{forged}: the checkpoint of {NAME} at 1 entries is signed by {stranger.verifier.short}"
    )
    damaged = tmp_path / "damaged"
    damaged.write_text(own_file(signed).read_text()[:-9])
    (problem,) = problems(signed, damaged)
    assert problem.startswith(f"{damaged}: ")
    with pytest.raises(BadInput, match=r"there is no file of checkpoints at"):
        problems(signed, tmp_path / "missing")


# -- witnesses -----------------------------------------------------------------------------------


@pytest.fixture
def wendy(signed: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Somebody else, who looks at the ledger, with files of her own."""
    monkeypatch.setenv("PHASEGATE_WITNESS", str(tmp_path / "wendy"))
    return signed.acting("wendy")


def trust(builder: Builder) -> list[str]:
    return [builder.acting("root").ledger.make_key().verifier]


def test_a_witness_cosigns_a_ledger_that_grows(signed: Builder, wendy: Registry, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"this witness knows no ledger {NAME}") as found:
        wendy.ledger.witness()
    assert "--trust" in found.value.hint
    first = wendy.ledger.witness(trust=trust(signed))
    assert (first.origin, first.since) == (NAME, None)
    key = VerifierKey.parse(first.witness)
    assert (key.name, key.kind) == ("witness/wendy", Kind.WITNESS)
    assert (tmp_path / "wendy" / "witness.key").stat().st_mode & 0o777 == 0o600
    happen(signed, 5)
    size = signed.acting("root").ledger.checkpoint().size
    second = wendy.ledger.witness()
    assert (second.size, second.since, second.witness) == (size, first.size, first.witness)
    cosigned = read_checkpoints(own_file(signed))
    assert [found.checkpoint.size for found in cosigned] == [first.size, second.size]
    for found, view in zip(cosigned, (first, second), strict=True):
        assert cosigners(found.note, [key]) == {key: int(view.at.timestamp())}
    assert problems(signed) == []
    assert wendy.ledger.witness().since == size  # nothing new is no fork
    assert "wendy" not in {entry.actor for entry in wendy.log()}


def test_a_witness_refuses_a_ledger_that_shrank(signed: Builder, wendy: Registry, tmp_path: Path) -> None:
    happen(signed, 5)
    signed.acting("root").ledger.checkpoint()
    before = wendy.ledger.witness(trust=trust(signed))
    remembered = (tmp_path / "wendy" / "witness.json").read_bytes()
    shorter = tmp_path / "shorter"
    add_checkpoint(shorter, read_checkpoints(own_file(signed))[0])
    with pytest.raises(IntegrityViolated) as found:
        wendy.ledger.witness(checkpoints=shorter)
    assert found.value.message == (
        f"not signed: the ledger {NAME} has shrunk: this witness saw {before.size} entries, "
        f"the checkpoint has {before.size - 5}"
    )
    assert len(read_checkpoints(shorter)[0].note.signatures) == 1
    assert (tmp_path / "wendy" / "witness.json").read_bytes() == remembered
    with forging(signed) as connection:
        truncate(connection, before.size - 1)
    with pytest.raises(IntegrityViolated, match=r"was truncated: it signed|is not the beginning|has forked"):
        wendy.ledger.witness()


def test_a_witness_refuses_a_fork_and_keeps_the_proof(
    signed: Builder, wendy: Registry, tmp_path: Path
) -> None:
    """The owner has the key, rewrites everything, and signs it again."""
    wendy.ledger.witness(trust=trust(signed))
    with forging(signed) as connection:
        rewrite(connection, 7)
    own_file(signed).unlink()
    happen(signed, 3)
    forked = signed.acting("root").ledger.checkpoint()
    assert problems(signed) == []
    with pytest.raises(IntegrityViolated, match=rf"not signed: the ledger {NAME} has forked") as found:
        wendy.ledger.witness()
    evidence = tmp_path / "wendy" / "witness.refused.checkpoints"
    assert str(evidence) in found.value.hint
    (kept,) = read_checkpoints(evidence)
    assert str(kept.note) == forked.note
    assert len(read_checkpoints(own_file(signed))[0].note.signatures) == 1


def test_a_witness_catches_a_ledger_that_shows_two_histories(
    databases: Databases, signed: Builder, wendy: Registry, tmp_path: Path
) -> None:
    """One to her, another to somebody else: whichever comes second is not signed."""
    key = trust(signed)
    with forging(signed):
        pass  # nothing: so that nobody has the original open while it is copied
    signed.database.close()
    copied = databases.copy(signed.database.url.render_as_string(hide_password=False))
    shutil.copytree(signed.home.root, tmp_path / "other")
    with Builder(tmp_path / "other", copied) as other:
        for builder in (signed, other):
            happen(builder, 2)
            builder.acting("root").ledger.checkpoint()
        wendy.ledger.witness(trust=key)
        with pytest.raises(IntegrityViolated, match=r"has forked"):
            other.acting("wendy").ledger.witness()
    databases.drop(copied)


def test_a_witness_does_not_believe_the_database(signed: Builder, wendy: Registry) -> None:
    """The first checkpoint that she sees is right, and the database is not."""
    with forging(signed) as connection:
        rewrite(connection, 7)
    with pytest.raises(IntegrityViolated, match=r"are not those that it signed"):
        wendy.ledger.witness(trust=trust(signed))


def test_a_witness_follows_keys_that_are_signed_for(signed: Builder, wendy: Registry) -> None:
    ledger = signed.acting("root").ledger
    wendy.ledger.witness(trust=trust(signed))
    ledger.rotate_key()
    ledger.rotate_key()
    ledger.checkpoint()
    assert wendy.ledger.witness().since is not None
    signed.home.ledger_key.unlink()
    lost = ledger.rotate_key(lost=True, reason="fire")
    ledger.checkpoint()
    with pytest.raises(IntegrityViolated, match=r"none of them is a known key") as found:
        wendy.ledger.witness()
    assert "--trust KEY" in found.value.hint
    assert wendy.ledger.witness(trust=[lost.verifier]).since is not None


def test_what_a_witness_cannot_work_with(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASEGATE_WITNESS", str(tmp_path / "wendy"))
    ledger = builder.acting("root").ledger
    with pytest.raises(BadInput, match=r"there is no checkpoint in"):
        ledger.witness()
    key = ledger.make_key(name=NAME).verifier
    ledger.checkpoint()
    with pytest.raises(BadInput, match=r"a witness is somebody else"):
        ledger.witness(key_file=builder.home.ledger_key, trust=[key])
    (tmp_path / "wendy" / "witness.json").write_text("{}")
    with pytest.raises(BadInput, match=r"witness.json: this is not what a witness remembers"):
        ledger.witness(trust=[key])
    with pytest.raises(BadInput, match=r"cannot be used"):
        ledger.witness(state=Path("/proc/nowhere/state.json"), trust=[key])


# -- proofs --------------------------------------------------------------------------------------


def prove(builder: Builder, index: int, **more: bool) -> list[tuple[str, str]]:
    """What the script reads in a proof."""
    proof = builder.acting("auditor").ledger.prove(index, **more)
    return verify_proof.verify(verify_proof.read_proof(proof.text), [verify_proof.read_key(proof.key, 1)], [])


def test_every_entry_can_be_proven(signed: Builder) -> None:
    size = size_of(signed)
    for index in range(size):
        told = dict(prove(signed, index, payload=True))
        (entry,) = [found for found in signed.acting("auditor").log() if found.index == index]
        assert told["entry"] == f"{index} of {size}"
        assert (told["action"], told["subject"]) == (entry.action, entry.subject)


def test_a_payload_is_told_only_if_it_is_asked_for(signed: Builder) -> None:
    assert dict(prove(signed, 0))["payload"].startswith("not told")
    assert '"name":"root"' in dict(prove(signed, 0, payload=True))["payload"]


def test_an_erased_payload_leaves_a_proof_that_verifies(signed: Builder) -> None:
    with forging(signed) as connection:
        connection.execute(update(ENTRIES).where(ENTRIES.c.index == 3).values(payload=None, salt=None))
    assert dict(prove(signed, 3))["payload"].startswith("not told")
    with pytest.raises(BadInput, match=r"the payload of entry 3 was erased"):
        prove(signed, 3, payload=True)


def test_what_no_checkpoint_covers_is_signed_if_the_key_is_here(signed: Builder) -> None:
    happen(signed)
    index = size_of(signed) - 1
    key = signed.home.ledger_key.rename(signed.home.root / "elsewhere")
    with pytest.raises(BadInput, match=rf"no checkpoint covers entry {index}, and the signing key is not at"):
        prove(signed, index)
    key.rename(signed.home.ledger_key)
    assert ("entry", f"{index} of {index + 1}") in prove(signed, index)
    assert len(read_checkpoints(own_file(signed))) == 2


def test_the_best_signed_checkpoint_is_taken(signed: Builder, wendy: Registry, tmp_path: Path) -> None:
    size = wendy.ledger.witness(trust=trust(signed)).size
    happen(signed)
    signed.acting("root").ledger.checkpoint()
    assert wendy.ledger.prove(2).size == size
    assert len(wendy.ledger.prove(2).signed_by) == 2
    assert wendy.ledger.prove(size).size == size + 1
    with pytest.raises(BadInput, match=r"covers entry 2"):
        wendy.ledger.prove(2, checkpoints=tmp_path / "none")


def test_what_cannot_be_proven(builder: Builder) -> None:
    ledger = builder.acting("root").ledger
    with pytest.raises(BadInput, match=r"nobody signs this ledger yet"):
        ledger.prove(0)
    size = size_of(builder)
    with pytest.raises(
        NotFound, match=rf"there is no entry {size}: the ledger has {size}, from 0 to {size - 1}"
    ):
        ledger.prove(size)


def test_no_proof_is_made_that_proves_nothing(signed: Builder) -> None:
    with forging(signed) as connection:
        rewrite(connection, 3)
    with pytest.raises(IntegrityViolated, match=r"does not lead to the root"):
        prove(signed, 3)
    with pytest.raises(IntegrityViolated, match=r"does not lead to the root"):
        prove(signed, 4)


def test_the_script_is_what_is_shipped() -> None:
    from registry.usecases.prove import verifier_script

    assert verifier_script() == Path(verify_proof.__file__).read_text("utf-8")
