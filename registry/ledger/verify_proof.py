#!/usr/bin/env python3
"""Verify, offline, that an entry is in a ledger: one file that needs nothing but Python 3.8 or newer.

    python3 -I -S verify_proof.py entry-214.tlog-proof --key 'example.com/ledger+0a1b2c3d+AQ...'

The proof (c2sp.org/tlog-proof) holds the entry, the hashes that lead from it to the root of the ledger's
Merkle tree, and a checkpoint: that root, signed by the ledger and perhaps by witnesses. The key must come
from somebody whom you trust, not from whoever gave you the proof.

Exit codes: 0 proven, 1 not proven, 2 the proof or a key cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from datetime import datetime, timezone
from typing import Any, NamedTuple


class Unreadable(Exception):
    """A proof or a key that is none."""


class NotProven(Exception):
    """A proof that proves nothing."""


# -- Ed25519 (RFC 8032, section 5.1), for verifying only: nothing is secret, nothing need be constant-time ---

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


class Point(NamedTuple):
    """A point (x, y) of the curve, as x = X/Z, y = Y/Z, xy = T/Z."""

    X: int
    Y: int
    Z: int
    T: int


NEUTRAL = Point(0, 1, 1, 0)


def add(one: Point, other: Point) -> Point:
    a = (one.Y - one.X) * (other.Y - other.X) % P
    b = (one.Y + one.X) * (other.Y + other.X) % P
    c = 2 * one.T * other.T * D % P
    d = 2 * one.Z * other.Z % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return Point(e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar: int, point: Point) -> Point:
    result = NEUTRAL
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def compress(point: Point) -> bytes:
    inverse = pow(point.Z, P - 2, P)
    x, y = point.X * inverse % P, point.Y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decompress(data: bytes) -> Point | None:
    """A point, or None if there is none, or if it could be written in another way, too."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return Point(x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is of that key; keys of small order, which sign anything, are refused."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key = decompress(public)
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= L or compress(multiply(8, key)) == compress(NEUTRAL):
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(hashed, "little") % L
    minus_key = Point(P - key.X, key.Y, 1, P - key.T)
    return compress(add(multiply(scalar, BASE), multiply(challenge, minus_key))) == signature[:32]


# -- keys, proofs and what they say ----------------------------------------------------------

LEDGER, WITNESS = 1, 4  # types of keys
HEX = re.compile(r"[0-9a-f]+\Z")
NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})\Z")
DASH = "\u2014 "


class Key(NamedTuple):
    """A verifier key, `name+hash+key` (c2sp.org/signed-note)."""

    name: str
    id: bytes
    type: int
    public: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}"


class Signature(NamedTuple):
    """A signature line of a checkpoint."""

    name: str
    id: bytes
    value: bytes


class Checkpoint(NamedTuple):
    """Size and root of a ledger, and who signed them (c2sp.org/tlog-checkpoint)."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: list[Signature]


class Proof(NamedTuple):
    """What a proof file holds; payload and salt are None if they are not told."""

    number: int
    hashes: list[bytes]
    header: str
    payload: str | None
    salt: bytes | None
    checkpoint: Checkpoint


def read_base64(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found or base64.b64encode(found).decode() != text:
        raise Unreadable(f"{text[:60]!r} is not base64")
    return found


def read_number(text: str) -> int:
    if not NUMBER.match(text):
        raise Unreadable(f"{text[:60]!r} is not a number")
    return int(text)


def read_hash(text: str) -> bytes:
    found = read_base64(text)
    if len(found) != 32:
        raise Unreadable(f"{text[:60]!r} is not a SHA-256 hash")
    return found


def read_key(text: str, type: int) -> Key:
    name, id, coded = [*text.strip().split("+", 2), "", ""][:3]
    if not name or len(id) != 8 or not HEX.match(id):
        raise Unreadable(f"{text[:100]!r} is not a verifier key: name+hash+key")
    key = read_base64(coded)
    if len(key) != 33 or key[0] != type:
        raise Unreadable(f"the key of {name} is not of type {type}, as a {TYPES[type]}'s Ed25519 key is")
    if hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8] != id:
        raise Unreadable(f"the key of {name} is damaged: {id} is not its hash")
    return Key(name, bytes.fromhex(id), key[0], key[1:])


TYPES = {LEDGER: "ledger", WITNESS: "witness"}


def read_signature(line: str) -> Signature:
    name, _, coded = line[len(DASH) :].partition(" ")
    if not line.startswith(DASH) or not name:
        raise Unreadable(f"{line[:60]!r} is no signature")
    value = read_base64(coded)
    return Signature(name, value[:4], value[4:])


def read_checkpoint(text: str) -> Checkpoint:
    body, gap, signatures = text.rpartition("\n\n")
    lines = body.split("\n")
    if not gap or len(lines) < 3 or not all(lines) or not signatures.endswith("\n"):
        raise Unreadable("the checkpoint is not origin, size and root, an empty line and signatures")
    signed = [read_signature(line) for line in signatures[:-1].split("\n")]
    return Checkpoint(body + "\n", lines[0], read_number(lines[1]), read_hash(lines[2]), signed)


def read_entry(coded: str) -> tuple[str, str | None, bytes | None]:
    """The entry's header, and its payload and salt if they are told."""
    text = read_base64(coded).decode()
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or set(told) not in ({"header"}, {"header", "payload", "salt"}):
        raise Unreadable("the entry is not a JSON object of header, or of header, payload and salt")
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if canonical != text or not all(isinstance(value, str) for value in told.values()):
        raise Unreadable("the entry is not canonical JSON, or one of its values is not text")
    if "salt" not in told:
        return told["header"], None, None
    if len(told["salt"]) != 32 or not HEX.match(told["salt"]):
        raise Unreadable("the entry's salt is not 16 bytes in hexadecimal")
    return told["header"], told["payload"], bytes.fromhex(told["salt"])


def read_proof(text: str) -> Proof:
    if any(sign < " " and sign != "\n" for sign in text):
        raise Unreadable("the proof holds a control character")
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise Unreadable("this is no proof: its first line is not c2sp.org/tlog-proof@v1")
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Unreadable("the proof's second and third line are not extra (the entry) and index")
    header, payload, salt = read_entry(lines[1][len("extra ") :])
    number = read_number(lines[2][len("index ") :])
    hashes = [read_hash(line) for line in lines[3:]]
    return Proof(number, hashes, header, payload, salt, read_checkpoint(checkpoint))


def check_inclusion(leaf: bytes, number: int, hashes: list[bytes], checkpoint: Checkpoint) -> None:
    """See that a leaf leads to the root (RFC 9162, section 2.1.3.2)."""
    if number >= checkpoint.size:
        raise NotProven(f"entry {number} is not among the {checkpoint.size} entries of the checkpoint")
    here, last, found = number, checkpoint.size - 1, leaf
    for hash in hashes:
        if last == 0:
            raise NotProven("there are more hashes than the tree has levels")
        if here & 1 or here == last:
            found = hashlib.sha256(b"\x01" + hash + found).digest()
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + hash).digest()
        here, last = here >> 1, last >> 1
    if last or found != checkpoint.root:
        raise NotProven("the entry does not lead to the signed root: it, its number or a hash was changed")


def signature_of(key: Key, checkpoint: Checkpoint) -> Signature | None:
    """The key's signature of a checkpoint, None if there is none; raises NotProven if it is forged."""
    for signature in checkpoint.signatures:
        if (signature.name, signature.id) != (key.name, key.id):
            continue
        message, value = checkpoint.text.encode(), signature.value
        if key.type == WITNESS:
            message = b"cosignature/v1\ntime %d\n%s" % (int.from_bytes(value[:8], "big"), message)
            value = value[8:]
        if not ed25519_verify(key.public, message, value):
            raise NotProven(f"the signature that names the key {key} is not of that key")
        return signature
    return None


def verify(proof: Proof, keys: list[Key], witnesses: list[Key]) -> list[tuple[str, str]]:
    """What is proven, as names and values; raises NotProven if anything does not hold."""
    there = proof.checkpoint
    signed = [key for key in keys if key.name == there.origin and signature_of(key, there)]
    if not signed:
        raise NotProven(f"the checkpoint of {there.origin} is signed by none of the keys given")
    told = [
        ("entry", f"{proof.number} of {there.size}"),
        ("ledger", there.origin),
        ("root", there.root.hex()),
        *(("signed by", str(key)) for key in signed),
    ]
    for key in witnesses:
        signature = signature_of(key, there)
        if signature is None:
            raise NotProven(f"the witness {key} did not sign the checkpoint")
        told.append(("seen by", f"{key} at {when(signature.value)}"))
    leaf = hashlib.sha256(b"\x00" + proof.header.encode()).digest()
    check_inclusion(leaf, proof.number, proof.hashes, there)
    return told + tell_entry(proof)


def tell_entry(proof: Proof) -> list[tuple[str, str]]:
    """What an entry that is in the ledger says; raises NotProven if its payload is another one's."""
    try:
        header = json.loads(proof.header)
        promised = header.pop("payload")
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        raise NotProven("the entry is in the ledger, but it is no entry of Phasegate") from None
    told = [(name, show(value)) for name, value in header.items()]
    if proof.salt is None or proof.payload is None:
        return [*told, ("payload", f"not told; committed to as {show(promised)}")]
    found = "sha256:" + hashlib.sha256(proof.salt + proof.payload.encode()).hexdigest()
    if promised != found:
        raise NotProven("the payload is not the one that the entry commits to")
    return [*told, ("payload", proof.payload)]


def when(cosignature: bytes) -> str:
    seconds = int.from_bytes(cosignature[:8], "big")
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()  # noqa: UP017 - since Python 3.11
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s after 1970"


def show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def ascii_only(text: object) -> str:
    """Text that cannot speak to the terminal that it is shown on."""
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in str(text))


def main() -> int:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proof", metavar="PROOF", help="a .tlog-proof file; - for standard input")
    parser.add_argument(
        "--key", action="append", required=True, help="a verifier key of the ledger; repeat it for older ones"
    )
    parser.add_argument(
        "--witness", action="append", default=[], help="verifier key of a witness that must have signed, too"
    )
    given = parser.parse_args()
    try:
        keys = [read_key(text, LEDGER) for text in given.key]
        witnesses = [read_key(text, WITNESS) for text in given.witness]
        with sys.stdin.buffer if given.proof == "-" else open(given.proof, "rb") as stream:
            told = verify(read_proof(stream.read().decode()), keys, witnesses)
    except NotProven as reason:
        sys.stderr.write(f"NOT PROVEN: {ascii_only(reason)}\n")
        return 1
    except (OSError, UnicodeError, Unreadable) as reason:
        sys.stderr.write(f"Cannot be read: {ascii_only(reason)}\n")
        return 2
    sys.stdout.write("PROVEN\n" + "".join(f"  {name:<10} {ascii_only(value)}\n" for name, value in told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
