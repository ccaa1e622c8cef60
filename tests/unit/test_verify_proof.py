"""The script that auditors verify proofs with: alone, on any Python, and against every kind of forgery."""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.digests import canonical
from registry.ledger import verify_proof
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.entries import Entry, make_entry
from registry.ledger.keys import Kind, SigningKey
from registry.ledger.merkle import Tree, leaf_hash
from registry.ledger.proof_file import EntryProof
from registry.ledger.proofs import Subtree, inclusion_ranges
from registry.ledger.verify_proof import L, NotProven, P, Unreadable, ed25519_verify

SCRIPT = Path(verify_proof.__file__)
LOG = SigningKey("example.com/ledger", Kind.LOG, bytes(range(32)))
WITNESS = SigningKey("w1.example", Kind.WITNESS, bytes(range(32, 64)))
ENTRY, SIZE = 5, 11

# -- Ed25519 -------------------------------------------------------------------------------------

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
            "3dca179c138ac17ad9bef1177331a704"
        ),
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc(public: str, message: str, signature: str) -> None:
    given_ = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    Ed25519PublicKey.from_public_bytes(given_[0]).verify(given_[2], given_[1])
    assert ed25519_verify(*given_)


def accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """What the library says."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 511))
def test_it_says_what_the_library_says(seed: bytes, message: bytes, flipped: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ed25519_verify(public, message, signature)
    changed = bytearray(signature)
    changed[flipped // 8] ^= 1 << flipped % 8
    assert (
        ed25519_verify(public, message, bytes(changed)) is accepts(public, message, bytes(changed)) is False
    )
    assert ed25519_verify(public, message + b"!", signature) is False
    other = bytearray(public)
    other[flipped // 16] ^= 1 << flipped % 8
    assert ed25519_verify(bytes(other), message, signature) is False


@given(st.binary(min_size=32, max_size=32), st.integers(1, 15))
def test_a_scalar_that_is_not_reduced_is_refused(seed: bytes, times: int) -> None:
    """Else whoever sees a signature could make others of the same text."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"text")
    scalar = int.from_bytes(signature[32:], "little") + times * L
    forged = signature[:32] + scalar.to_bytes(32, "little")
    assert not accepts(public, b"text", forged)
    assert not ed25519_verify(public, b"text", forged)


@pytest.mark.parametrize(
    "y", [P, P + 1, 2**255 - 1, 1, 0, P - 1, 2, 1 | 1 << 255, (P - 1) | 1 << 255, 2**256 - 1]
)
def test_keys_that_are_no_points_or_not_canonical_or_of_small_order(y: int) -> None:
    """Such a key would accept forgeries: with R the neutral point and S = 0, for one."""
    public = y.to_bytes(32, "little")
    for point in (public, (1).to_bytes(32, "little"), bytes(32)):
        assert not ed25519_verify(public, b"text", point + bytes(32))


@pytest.mark.parametrize("sizes", [(31, 64), (33, 64), (32, 63), (32, 65), (0, 0)])
def test_keys_and_signatures_of_another_size(sizes: tuple[int, int]) -> None:
    assert not ed25519_verify(bytes(sizes[0]), b"", bytes(sizes[1]))


# -- proofs --------------------------------------------------------------------------------------


@functools.cache
def entries() -> list[Entry]:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    return [
        make_entry(at, 3, "stage-decided", "model:loans/1", {"event": {"n": n, "who": "Zoë"}, "rows": {}})
        for n in range(SIZE)
    ]


@functools.cache
def made(*, told: bool = True, index: int = ENTRY, size: int = SIZE) -> EntryProof:
    """A proof of an entry, with its payload or without."""
    tree, hashes, kept = Tree(), {}, entries()[:size]
    for number, entry in enumerate(kept):
        hashes[Subtree(0, number)] = entry.leaf
        tree, finished = tree.append(entry.leaf)
        hashes |= {Subtree(node.level, node.position): node.hash for node in finished}
    note = Checkpoint(LOG.name, tree.size, tree.root).signed(LOG).sign(WITNESS, at=1_780_000_000)
    proof = EntryProof(
        index,
        kept[index].header,
        [part.root(hashes) for part in inclusion_ranges(index, size)],
        SignedCheckpoint.of(note),
        kept[index].payload if told else None,
        kept[index].salt if told else None,
    )
    proof.check()
    return proof


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script in a Python of its own, which sees nothing but the standard library."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(file), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "entry.tlog-proof"
    path.write_text(str(made()), "utf-8")
    return path


KEY = ("--key", str(LOG.verifier))
SEEN = ("--witness", str(WITNESS.verifier))


def test_a_proof_is_told(file: Path) -> None:
    done = run(file, *KEY, *SEEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:5] == [
        "PROVEN",
        "  entry      5 of 11",
        "  ledger     example.com/ledger",
        f"  root       {made().signed.checkpoint.root.hex()}",
        f"  signed by  {LOG.verifier.short}",
    ]
    assert f"  seen by    {WITNESS.verifier.short} at 2026-05-28T20:26:40+00:00\n" in done.stdout
    assert "  subject    model:loans/1\n" in done.stdout
    assert '  payload    {"event":{"n":5,"who":"Zo\\xeb"},"rows":{}}\n' in done.stdout


def test_a_payload_need_not_be_told(file: Path) -> None:
    file.write_text(str(made(told=False)), "utf-8")
    done = run(file, *KEY)
    assert done.returncode == 0
    promised = json.loads(made().header)["payload"]
    assert f"  payload    not told; committed to as {promised}\n" in done.stdout
    assert "Zo" not in done.stdout


def test_it_is_written_for_old_pythons_too() -> None:
    """Auditors have what their machines have."""
    ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 8))


def test_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), "-", *KEY],
        input=str(made()).encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"PROVEN")


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
def test_proofs_of_every_entry_of_ledgers_of_every_form(size: int) -> None:
    for index in range(size):
        read = verify_proof.read_proof(str(made(index=index, size=size)))
        keys = [verify_proof.read_key(str(LOG.verifier), 1)]
        assert ("entry", f"{index} of {size}") in verify_proof.verify(read, keys, [])


# -- forgeries -----------------------------------------------------------------------------------


def extra(**changes: str | None) -> str:
    """The entry's line with other values; None takes one away."""
    proof = made()
    assert proof.payload is not None
    assert proof.salt is not None
    told = {"header": proof.header.decode(), "payload": proof.payload.decode(), "salt": proof.salt.hex()}
    told = {name: value for name, value in {**told, **changes}.items() if value is not None}
    return "extra " + base64.b64encode(canonical(told)).decode()


def forged_header(**changes: object) -> str:
    return canonical({**json.loads(made().header), **changes}).decode()


def with_line(place: int, line: str) -> str:
    lines = str(made()).split("\n")
    lines[place] = line
    return "\n".join(lines)


def flipped(line: str) -> str:
    """A base64 line with one bit of its bytes changed."""
    data = bytearray(base64.b64decode(line))
    data[7] ^= 4
    return base64.b64encode(data).decode()


def signature_with(change: Callable[[bytes], bytes], place: int = 0) -> str:
    note = made().signed.note
    lines = [*note.signatures]
    lines[place] = replace(lines[place], value=change(lines[place].value))
    return str(replace(made(), signed=replace(made().signed, note=replace(note, signatures=tuple(lines)))))


def signed_by(key: SigningKey, checkpoint: Checkpoint) -> str:
    return str(replace(made(), signed=SignedCheckpoint.of(checkpoint.signed(key))))


HASHES = range(3, 3 + len(made().hashes))
ORIGIN = HASHES.stop + 1
THERE = made().signed.checkpoint
STRANGER = SigningKey(LOG.name, Kind.LOG, bytes(32))
FORGED = {
    "another entry's header": (1, with_line(1, extra(header=entries()[4].header.decode()))),
    "time": (1, with_line(1, extra(header=forged_header(at="2025-03-01T12:30:00+00:00")))),
    "actor": (1, with_line(1, extra(header=forged_header(actor=4)))),
    "action": (1, with_line(1, extra(header=forged_header(action="version-planned")))),
    "subject": (1, with_line(1, extra(header=forged_header(subject="model:loans/2")))),
    "commitment": (1, with_line(1, extra(header=forged_header(payload="sha256:" + "0" * 64)))),
    "payload": (1, with_line(1, extra(payload='{"event":{"n":6},"rows":{}}'))),
    "salt": (1, with_line(1, extra(salt="00" * 16))),
    "salt of another size": (2, with_line(1, extra(salt="00"))),
    "salt without payload": (2, with_line(1, extra(payload=None))),
    "payload without salt": (2, with_line(1, extra(salt=None))),
    "no header": (2, with_line(1, extra(header=None))),
    "something more in the entry": (2, with_line(1, extra(more=""))),
    "entry not canonical": (2, with_line(1, "extra " + base64.b64encode(b'{"header": "{}"}').decode())),
    "entry that is no JSON": (2, with_line(1, "extra " + base64.b64encode(b"{").decode())),
    "entry that is no object": (2, with_line(1, "extra " + base64.b64encode(b'["header"]').decode())),
    "entry that is no text": (2, with_line(1, "extra " + base64.b64encode(b"\xff").decode())),
    "header that is no text": (2, with_line(1, "extra " + base64.b64encode(b'{"header":7}').decode())),
    "format": (2, with_line(0, "c2sp.org/tlog-proof@v2")),
    "number": (1, with_line(2, "index 4")),
    "number beyond the ledger": (1, with_line(2, "index 11")),
    "number not canonical": (2, with_line(2, "index 05")),
    "negative number": (2, with_line(2, "index -5")),
    **{f"hash {n - 2}": (1, with_line(n, flipped(str(made()).split("\n")[n]))) for n in HASHES},
    "a hash less": (1, str(replace(made(), hashes=made().hashes[:-1]))),
    "a hash more": (1, str(replace(made(), hashes=[*made().hashes, bytes(32)]))),
    "no hash": (1, str(replace(made(), hashes=[]))),
    "hash of another size": (2, with_line(3, base64.b64encode(bytes(31)).decode())),
    "origin": (1, with_line(ORIGIN, "example.com/other")),
    "size": (1, with_line(ORIGIN + 1, "12")),
    "size not canonical": (2, with_line(ORIGIN + 1, "011")),
    "root": (1, with_line(ORIGIN + 2, flipped(str(made()).split("\n")[ORIGIN + 2]))),
    "an extension of the checkpoint": (
        1,
        with_line(ORIGIN + 2, str(made()).split("\n")[ORIGIN + 2] + "\nmore"),
    ),
    "signature, its point": (1, signature_with(lambda value: bytes([value[0] ^ 1]) + value[1:])),
    "signature, its scalar": (1, signature_with(lambda value: value[:-1] + bytes([value[-1] ^ 1]))),
    "signature, its scalar not reduced": (
        1,
        signature_with(
            lambda value: value[:32] + (int.from_bytes(value[32:], "little") + L).to_bytes(32, "little")
        ),
    ),
    "signature cut": (1, signature_with(lambda value: value[:-1])),
    "time of the witness": (1, signature_with(lambda value: bytes(8) + value[8:], 1)),
    "signature of the witness": (1, signature_with(lambda value: value[:-1] + bytes([value[-1] ^ 1]), 1)),
    "no signature of the witness": (1, signed_by(LOG, THERE)),
    "another key of the same name": (1, signed_by(STRANGER, THERE)),
    "a smaller ledger": (1, signed_by(LOG, replace(THERE, size=5))),
    "another root, signed": (1, signed_by(LOG, replace(THERE, root=bytes(32)))),
    "no signatures": (2, str(made()).split("\n\n")[0] + "\n\n" + THERE.text + "\n"),
    "no checkpoint": (2, str(made()).split("\n\n")[0] + "\n"),
    "carriage returns": (2, str(made()).replace("\n", "\r\n")),
    "more after it": (2, str(made()) + "\n"),
    "cut": (2, str(made())[:-5]),
    "nothing": (2, ""),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forgery_is_told(file: Path, what: str) -> None:
    code, text = FORGED[what]
    assert text != str(made())
    file.write_bytes(text.encode())
    done = run(file, *KEY, *SEEN)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("NOT PROVEN: " if code == 1 else "Cannot be read: ")
    assert "Traceback" not in done.stderr


def test_no_byte_of_a_proof_can_be_changed() -> None:
    data = str(made()).encode()
    keys = [verify_proof.read_key(str(LOG.verifier), 1)]
    witnesses = [verify_proof.read_key(str(WITNESS.verifier), 4)]
    for place in range(len(data)):
        for bit in (1, 0x20):
            changed = bytearray(data)
            changed[place] ^= bit
            with pytest.raises((NotProven, Unreadable, UnicodeDecodeError)):
                verify_proof.verify(verify_proof.read_proof(changed.decode()), keys, witnesses)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("--key", "nonsense"), 2),
        (("--key", str(LOG.verifier)[:-4] + "AAA="), 2),
        (("--key", str(WITNESS.verifier)), 2),
        (("--key", str(STRANGER.verifier)), 1),
        ((*KEY, "--witness", str(LOG.verifier)), 2),
        ((*KEY, "--witness", str(replace(WITNESS, seed=bytes(32)).verifier)), 1),
    ],
)
def test_keys_that_do_not_fit(file: Path, arguments: tuple[str, ...], code: int) -> None:
    done = run(file, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr


def test_an_older_key_may_be_given_too(file: Path) -> None:
    assert run(file, "--key", str(STRANGER.verifier), *KEY).returncode == 0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path / "none", *KEY)
    assert done.returncode == 2
    assert done.stderr.startswith("Cannot be read: [Errno 2]")


def test_an_entry_cannot_speak_to_the_terminal(file: Path) -> None:
    """Whoever writes a subject writes on the auditor's screen: control characters come out as text."""
    header = canonical({**json.loads(made().header), "subject": "\x1b[2J\u202e"})
    leaf = leaf_hash(header)
    note = Checkpoint(LOG.name, 1, leaf).signed(LOG)
    proof = EntryProof(0, header, [], SignedCheckpoint.of(note))
    proof.check()
    file.write_text(str(proof), "utf-8")
    done = run(file, *KEY)
    assert "  subject    \\x1b[2J\\u202e\n" in done.stdout


def test_the_script_stands_alone() -> None:
    source = SCRIPT.read_text("utf-8")
    assert "registry" not in source
    assert "import cryptography" not in source
