"""Envelopes, statements and keys, held against the libraries whose formats they are."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement as TheirStatement
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from registry.domain.digests import digest_of
from registry.errors import BadInput
from registry.signing import predicates, slsa
from registry.signing.dsse import IN_TOTO, Envelope, pae
from registry.signing.keys import PublicKey
from registry.signing.statements import APPROVAL, EVIDENCE, RowRef, Statement
from registry.signing.verify import MODEL_SIGNATURE, Claim, problem_of

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ROW = RowRef("evidence:7", "sha256:" + "c" * 64)
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "ecdsa-sha2-nistp256": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-sha2-nistp384": ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-sha2-nistp521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsassa-pss-sha256": RSA,
    "rsassa-pss-sha512": RSA,
    "rsa-pkcs1v15-sha256": RSA,
    "rsa-pkcs1v15-sha384": RSA,
}


def pem_of(private: Any) -> str:
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def signer(scheme: str) -> CryptoSigner:
    private = KEYS[scheme]
    return CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), scheme=scheme))


def ours(scheme: str) -> PublicKey:
    return PublicKey.parse(pem_of(KEYS[scheme]), scheme)


# -- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", KEYS)
def test_a_key_has_the_id_that_securesystemslib_gives_it(scheme: str) -> None:
    theirs = signer(scheme).public_key
    key = ours(scheme)
    assert (key.keyid, key.keytype, key.scheme, key.value) == (
        theirs.keyid,
        theirs.keytype,
        theirs.scheme,
        theirs.keyval["public"],
    )


@pytest.mark.parametrize("scheme", KEYS)
def test_what_securesystemslib_signs_verifies_and_nothing_else(scheme: str) -> None:
    signature = bytes.fromhex(signer(scheme).sign(b"message").signature)
    key = ours(scheme)
    assert key.verifies(b"message", signature)
    assert not key.verifies(b"massage", signature)
    assert not key.verifies(b"message", bytes([signature[0] ^ 1]) + signature[1:])
    assert not key.verifies(b"message", signature[:-1])
    assert not key.verifies(b"message", b"")
    assert not any(ours(other).verifies(b"message", signature) for other in KEYS if other != scheme)


def test_a_key_does_not_sign_by_another_keys_scheme() -> None:
    signature = bytes.fromhex(signer("ed25519").sign(b"message").signature)
    for scheme in ("ecdsa-sha2-nistp256", "rsassa-pss-sha256", "none", ""):
        assert not PublicKey(scheme, pem_of(KEYS["ed25519"])).verifies(b"message", signature)


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        ("", "no public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "is not known here"),
    ],
)
def test_what_is_no_key_of_a_known_kind(pem: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        PublicKey.parse(pem)


def test_a_private_key_is_not_taken_for_a_public_one() -> None:
    private = KEYS["ed25519"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(BadInput) as refused:
        PublicKey.parse(private)
    assert refused.value.hint == "give the public key, not the private one"


def test_a_scheme_that_the_key_cannot_sign_by() -> None:
    with pytest.raises(BadInput, match="cannot sign by ed25519"):
        PublicKey.parse(pem_of(RSA), "ed25519")


# -- envelopes -----------------------------------------------------------------------------------


def test_the_specifications_own_example() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.text(max_size=30), st.binary(max_size=60))
def test_what_is_signed_is_what_securesystemslib_signs(kind: str, payload: bytes) -> None:
    assert pae(kind, payload) == TheirEnvelope(payload, kind, {}).pae()


def sealed(payload: bytes, scheme: str = "ecdsa-sha2-nistp256", kind: str = IN_TOTO) -> Envelope:
    made = signer(scheme)
    signature = bytes.fromhex(made.sign(pae(kind, payload)).signature)
    return Envelope(payload, signature, made.public_key.keyid, kind)


@pytest.mark.parametrize("scheme", KEYS)
def test_envelopes_go_to_and_come_from_securesystemslib(scheme: str) -> None:
    envelope = sealed(b"{}", scheme)
    TheirEnvelope.from_dict(envelope.json()).verify([signer(scheme).public_key], 1)
    theirs = TheirEnvelope(b"theirs", IN_TOTO, {})
    theirs.sign(signer(scheme))
    read = Envelope.read(theirs.to_dict())
    assert read.payload == b"theirs"
    assert read.signed_by(ours(scheme))
    assert not replace(read, payload=b"others").signed_by(ours(scheme))
    assert not replace(read, payload_type="text/plain").signed_by(ours(scheme))
    assert not replace(read, keyid="0" * 64).signed_by(ours(scheme))


@pytest.mark.parametrize(
    "damage",
    [
        lambda it: it.pop("payload"),
        lambda it: it.pop("payloadType"),
        lambda it: it.update(signatures=[]),
        lambda it: it.update(signatures=it["signatures"] * 2),
        lambda it: it.update(signatures="no list"),
        lambda it: it.update(payload="%%%"),
        lambda it: it.update(payload=7),
        lambda it: it["signatures"][0].pop("keyid"),
        lambda it: it["signatures"][0].update(sig="!"),
        lambda it: it.update(dsseEnvelope=None),
    ],
)
def test_a_damaged_envelope_is_none(damage: Any) -> None:
    stored = sealed(b"{}").json()
    damage(stored)
    with pytest.raises(BadInput, match="no DSSE envelope"):
        Envelope.read(stored)


# -- statements ----------------------------------------------------------------------------------


def as_theirs(payload: bytes) -> statement_pb2.Statement:
    """A statement as in-toto's own library reads it, every field known to it and validated."""
    parsed = json_format.Parse(payload, statement_pb2.Statement())
    TheirStatement.copy_from_pb(parsed).validate()
    return parsed


def evidence(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "kind": "check.bias",
        "status": "complete",
        "reason": "",
        "coverage": 1.0,
        "metrics": {"difference": 0.03},
        "facts": {"device": "cpu"},
        "producer": "bias@1",
        "run": 7,
        "criteria_digest": OTHER,
        "at": AT,
        "valid_until": AT,
        "files_digest": OTHER,
    }
    return predicates.evidence(**facts | changes)


def about_evidence(**changes: Any) -> Statement:
    return Statement.about("loans/1", DIGEST, EVIDENCE, evidence(**changes), ROW)


def test_evidence_is_a_statement_of_in_toto() -> None:
    payload = about_evidence().payload()
    theirs = as_theirs(payload)
    assert theirs.type == "https://in-toto.io/Statement/v1"
    assert theirs.predicate_type == "https://phasegate.dev/evidence/v1"
    assert [(each.name, dict(each.digest)) for each in theirs.subject] == [("loans/1", {"sha256": "a" * 64})]
    told = json.loads(payload)["predicate"]
    assert told["validUntil"] == told["foundOn"] == "2026-03-01T12:30:15.250000Z"
    assert told["criteria"] == {"digest": {"sha256": "b" * 64}}
    assert told["phasegate_row"] == {"name": "evidence:7", "digest": {"sha256": "c" * 64}}


def test_what_is_not_known_is_not_told() -> None:
    told = evidence(criteria_digest="", valid_until=None, files_digest=None)
    assert told.keys() & {"criteria", "validUntil", "files"} == set()


def test_an_approval_is_a_statement_of_in_toto() -> None:
    said = predicates.approval(
        ref="loans/1",
        verdict="approved",
        to="deployed",
        approver="rita",
        on_behalf_of="otto",
        reason="fair",
        at=AT,
        basis={"artifact": DIGEST},
    )
    told = as_theirs(Statement.about("loans/1", DIGEST, APPROVAL, said, ROW).payload()).predicate
    assert (told["approver"], told["onBehalfOf"], told["to"]) == ("rita", "otto", "deployed")


def test_provenance_is_slsas() -> None:
    told = slsa.provenance(
        run=7,
        plugin="train-classifier",
        plugin_version="2",
        config={"epochs": 3},
        seed=11,
        kind="train",
        engine="local",
        processes=2,
        engine_options={},
        environment={
            "python": "3.11.9",
            "platform": "Linux",
            "packages": {"phasegate": "0.1", "torch": "2.13"},
            "device": "cpu",
            "design": {"layers": 2},
        },
        criteria_digest=OTHER,
        metrics_digest=OTHER,
        inputs=[("train", "loans-train/1", DIGEST), ("base", "minilm/1", OTHER)],
        told={"cpu": "Some Processor", "seed": "11"},
        files={"packages.txt": DIGEST, "label_audit.json": OTHER},
        started=AT,
        finished=AT,
    )
    as_theirs(Statement.about("loans/1", DIGEST, slsa.PROVENANCE, told, ROW).payload())
    theirs = json_format.ParseDict(told, provenance_pb2.Provenance())
    built = theirs.build_definition
    assert built.external_parameters["plugin"] == "train-classifier"
    assert (built.external_parameters["config"]["epochs"], built.external_parameters["seed"]) == (3, 11)
    assert [(read.name, read.uri, read.digest["sha256"]) for read in built.resolved_dependencies] == [
        ("train", "phasegate:loans-train/1", "a" * 64),
        ("base", "phasegate:minilm/1", "b" * 64),
        ("packages.txt", "", "a" * 64),
    ]
    assert built.internal_parameters["environment"]["cpu"] == "Some Processor"
    assert built.internal_parameters["design"]["layers"] == 2
    assert built.internal_parameters["device"] == "cpu"
    assert (built.internal_parameters["engine"], built.internal_parameters["processes"]) == ("local", 2)
    ran = theirs.run_details
    assert ran.builder.id == "https://phasegate.dev/plugin/train-classifier@2"
    assert dict(ran.builder.version) == {"phasegate": "0.1", "train-classifier": "2"}
    assert ran.metadata.invocation_id == "phasegate:run:7"
    assert ran.metadata.started_on.ToDatetime(UTC) == ran.metadata.finished_on.ToDatetime(UTC) == AT
    packages = {"phasegate": "0.1", "torch": "2.13"}
    assert {each.name: each.digest["sha256"] for each in ran.byproducts} == {
        "metrics": "b" * 64,
        "label_audit.json": "b" * 64,
        "packages": digest_of(packages).removeprefix("sha256:"),
    }


@pytest.mark.parametrize(
    ("allowed", "to", "levels"),
    [
        (True, "deployed", ["PHASEGATE_DEPLOYED"]),
        (True, "@champion", ["PHASEGATE_ALIAS_CHAMPION"]),
        (False, "deployed", ["FAILED"]),
    ],
)
def test_a_decision_is_slsas_summary(allowed: bool, to: str, levels: list[str]) -> None:
    told = slsa.verification_summary(
        ref="loans/1",
        decision=4,
        origin="evaluated",
        to=to,
        allowed=allowed,
        at=AT,
        release="0.1",
        policies=[("b", OTHER), ("a", DIGEST), ("b", OTHER)],
        inputs=[("phasegate:evidence:7", OTHER)],
    )
    as_theirs(Statement.about("loans/1", DIGEST, slsa.SUMMARY, told, ROW).payload())
    assert told["verifiedLevels"] == levels
    # Of these, the library knows one: SLSA's text, which has a list, goes before anybody's schema.
    known = {name: value for name, value in told.items() if name != "verifiedLevels"}
    theirs = json_format.ParseDict(known, vsa_pb2.VerificationSummary(), ignore_unknown_fields=True)
    assert theirs.verification_result == ("PASSED" if allowed else "FAILED")
    assert theirs.resource_uri == "phasegate:model:loans/1"
    assert theirs.time_verified.ToDatetime(UTC) == AT
    assert theirs.policy.digest["sha256"] == digest_of([DIGEST, OTHER]).removeprefix("sha256:")
    assert [each.digest["sha256"] for each in theirs.input_attestations] == ["b" * 64]
    assert [each["name"] for each in told["phasegate_policies"]] == ["a", "b"]
    assert {name for name in told if name.startswith("phasegate_")} == {
        "phasegate_decision",
        "phasegate_policies",
    }


# -- does it count -------------------------------------------------------------------------------

CLAIM = Claim(ROW, (DIGEST,), EVIDENCE)
KEY = ours("ecdsa-sha2-nistp256")


def problem(payload: bytes, claim: Claim = CLAIM, kind: str = IN_TOTO) -> str:
    return problem_of(sealed(payload, kind=kind).json(), KEY, claim)


def test_a_statement_that_fits_counts() -> None:
    assert problem(about_evidence().payload()) == ""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (replace(about_evidence(), digest=OTHER), "another digest"),
        (replace(about_evidence(), predicate_type=APPROVAL), "another kind"),
        (replace(about_evidence(), predicate=evidence()), "another row"),
        (Statement.about("", DIGEST, EVIDENCE, evidence(), RowRef("evidence:8", ROW.digest)), "another row"),
        (Statement.about("", DIGEST, EVIDENCE, evidence(), RowRef(ROW.name, OTHER)), "not what was signed"),
    ],
)
def test_a_statement_that_does_not_fit(statement: Statement, said: str) -> None:
    assert said in problem(statement.payload())


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'"x"', b'{"subject": [{}, {}]}', b"\xff"])
def test_what_is_no_statement(payload: bytes) -> None:
    assert problem(payload) == "this is no in-toto statement about one subject"


def test_a_statement_of_another_type_of_payload() -> None:
    assert "not of that key" in problem(about_evidence().payload(), kind="application/json")


def test_another_keys_signature_under_this_keys_name() -> None:
    forged = replace(sealed(about_evidence().payload(), "ed25519"), keyid=KEY.keyid)
    assert "not of that key" in problem_of(forged.json(), KEY, CLAIM)


def test_what_counted_once_is_not_remembered_for_another_payload() -> None:
    stored = sealed(about_evidence().payload()).json()
    assert problem_of(stored, KEY, CLAIM) == ""
    changed = about_evidence(metrics={"difference": 0.01}).payload()
    assert "was changed" in problem_of({**stored, "payload": base64.b64encode(changed).decode()}, KEY, CLAIM)


# -- artifacts -----------------------------------------------------------------------------------

FILES = {"a.json": DIGEST, "model/b.bin": OTHER}
MANIFEST = Claim(RowRef("artifacts:x", ""), (digest_of(FILES),), MODEL_SIGNATURE, manifest=FILES)


def listing(files: dict[str, str], **changes: Any) -> Statement:
    digests = [digest.removeprefix("sha256:") for digest in files.values()]
    root = hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
    predicate: dict[str, Any] = {
        "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
        "resources": [
            {"name": name, "algorithm": "sha256", "digest": digest}
            for name, digest in zip(files, digests, strict=True)
        ],
    }
    return Statement("model", f"sha256:{root}", MODEL_SIGNATURE, predicate | changes)


def test_the_files_of_the_artifact_count() -> None:
    assert problem(listing(FILES).payload(), MANIFEST) == ""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (listing({"a.json": DIGEST}), "other files"),
        (listing({**FILES, "more": DIGEST}), "other files"),
        (listing({**FILES, "a.json": OTHER}), "other files"),
        (listing({"A.json": DIGEST, "model/b.bin": OTHER}), "other files"),
        (replace(listing(FILES), digest=DIGEST), "not the one that its digest names"),
        (listing(FILES, serialization={"method": "shards", "hash_type": "sha256"}), "every file"),
        (listing(FILES, serialization={"method": "files", "hash_type": "blake2"}), "every file"),
        (
            listing(FILES, serialization={"method": "files", "hash_type": "sha256", "ignore_paths": ["c"]}),
            "every file",
        ),
        (listing(FILES, resources="none"), "no list of files"),
        (listing(FILES, resources=None), "no list of files"),
        (replace(listing(FILES), predicate_type=EVIDENCE), "another kind"),
    ],
)
def test_other_files_do_not(statement: Statement, said: str) -> None:
    assert said in problem(statement.payload(), MANIFEST)


def test_a_manifest_that_is_not_the_artifacts() -> None:
    claim = replace(MANIFEST, subjects=(DIGEST,))
    assert "not the one that its digest names" in problem(listing(FILES).payload(), claim)
