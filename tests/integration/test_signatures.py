"""What is signed of a version, and what a gate makes of it: on what is stored, whoever tampered with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.builder import GOOD_EVALUATION, SAFE, Builder, Finding
from integration.conftest import At
from integration.forging import forging
from integration.found import GOOD_DATA, OF_TIER, UNSEEN
from integration.signed import key_of
from sqlalchemy import Table, insert, select, update

from registry.domain.decision import Action
from registry.domain.digests import digest_of
from registry.domain.dossier import SignatureFacts
from registry.errors import AlreadyExists, BadInput, BadName, IntegrityViolated, NotFound, NotPermitted
from registry.policy import GateBinding, GatePolicy, Match, Validation
from registry.signing.statements import Statement
from registry.storage.tables import EnvelopeRow, EvidenceRow, TrustedKeyRow
from registry.usecases.signing import envelope_problems

REF = "loans/1"
ENVELOPES: Table = EnvelopeRow.__table__  # type: ignore[assignment]
RULES = {
    "artifact": "signatures.exists(s, s.about == 'artifact' && s.valid && s.trusted)",
    "security": "signatures.exists(s, s.about == 'eval.security' && s.valid && s.trusted)",
    "data": "signatures.exists(s, s.about == 'train:check.pii' && s.valid && s.trusted)",
    "independent": (
        "signatures.exists(s, s.about == 'artifact' && s.valid && s.trusted"
        " && !(s.signer in subject.developers))"
    ),
    "approved": (
        "approvals.exists(a, a.current && a.independent && signatures.exists(s,"
        " s.about == 'approval' && s.valid && s.trusted && s.signer == a.actor))"
    ),
}


@pytest.fixture
def builder(at: At) -> Builder:
    """A version, planned by alice, trained by bob, checked and approved by rita: one step before service."""
    made = at("evaluated")
    made.supply(REF, "deployed")
    made.acting("root").publish(
        [_policy()], [GateBinding(name="signed", policy="signed", action=Action.DENY)]
    )
    return made


def _policy() -> GatePolicy:
    return GatePolicy(
        name="signed",
        match=Match(to=("deployed",)),
        validations=tuple(
            Validation(
                id=id, expression=text, message=f"{id} is not signed", remedy="phasegate sign {version}"
            )
            for id, text in RULES.items()
        ),
    )


def holding(builder: Builder) -> set[str]:
    """Rules about signatures that hold now, as the gate itself says."""
    decision, _ = builder.acting("alice").explain(REF, "deployed")
    outcomes = {each.rule: each.outcome for each in decision.verdict.results}
    return {name for name in RULES if outcomes[f"signed/{name}"] == "pass"}


def seen(builder: Builder) -> list[SignatureFacts]:
    return list(builder.acting("alice").explain(REF, "deployed")[1].signatures)


def problems(builder: Builder) -> list[str]:
    with builder.database.read() as session:
        return list(envelope_problems(session))


@pytest.fixture
def key(builder: Builder, tmp_path: Path) -> str:
    """A key that is trusted as rita's."""
    return key_of(builder, tmp_path, "rita")


@pytest.fixture
def signed(builder: Builder, key: str) -> Builder:
    """The same version, signed by rita."""
    builder.acting("rita").keys.sign(REF, key)
    return builder


# -- signing -------------------------------------------------------------------------------------


def test_nothing_signed_is_nothing_to_trust(builder: Builder) -> None:
    assert seen(builder) == []
    assert holding(builder) == set()
    assert not builder.acting("alice").promote(REF, "deployed").allowed


def test_everything_current_is_signed_and_the_gate_opens(signed: Builder) -> None:
    about = [found.about for found in seen(signed)]
    data = {f"{role}:{finding.kind}" for role in ("test", "train") for finding in GOOD_DATA}
    assert about[:4] == ["provenance", "artifact", "run.train", "eval.performance"]
    documents = {finding.kind for finding in OF_TIER["limited"]["deployed"]}
    assert set(about[4:-1]) == {*documents, *data, f"test:{UNSEEN.kind}"}
    assert len(about) == len(set(about))
    assert about[-1] == "approval"
    assert {(found.signer, found.valid, found.trusted) for found in seen(signed)} == {("rita", True, True)}
    assert holding(signed) == set(RULES)
    assert signed.acting("alice").promote(REF, "deployed").allowed
    assert signed.acting("alice").verify().ok
    assert problems(signed) == []


def test_each_envelope_is_told_to_the_ledger_in_one_transaction(builder: Builder, key: str) -> None:
    signed = builder.acting("rita").keys.sign(REF, key)
    told = builder.acting("alice").log(action="statement-signed")
    assert [entry.payload["row"] for entry in told] == [view.row for view in signed]
    assert len({entry.at for entry in told}) == 1
    assert {entry.subject for entry in told} == {
        f"model:{REF}",
        "dataset:loans-train/1",
        "dataset:loans-test/1",
    }
    assert {entry.actor for entry in told} == {"rita"}


def test_signing_again_signs_what_is_new(signed: Builder, key: str) -> None:
    rita = signed.acting("rita")
    assert rita.keys.sign(REF, key) == []
    signed.judge(REF, SAFE)
    assert "security" not in holding(signed)
    (new,) = rita.keys.sign(REF, key)
    assert new.about == "eval.security"
    assert holding(signed) == set(RULES) - {"approved"}, "rita approved what was known before"


def test_two_people_sign_with_keys_of_their_own(signed: Builder, tmp_path: Path) -> None:
    again = signed.acting("ravi").keys.sign(REF, key_of(signed, tmp_path, "ravi"))
    assert "approval" not in {view.about for view in again}, "it is rita's"
    assert {found.signer for found in seen(signed)} == {"rita", "ravi"}


def test_an_ed25519_key_signs_statements_and_no_artifact(builder: Builder, tmp_path: Path) -> None:
    signed = builder.acting("rita").keys.sign(REF, key_of(builder, tmp_path, "rita", ed25519=True))
    (left,) = [view for view in signed if view.why_not]
    assert (left.about, left.envelope) == ("artifact", 0)
    assert "ECDSA keys only" in left.why_not
    assert holding(builder) == {"security", "data", "approved"}


def test_a_version_without_artifact_has_its_evidence_signed(at: At, tmp_path: Path) -> None:
    planned = at("planned")
    planned.judge(REF, Finding("check.plan", {"pages": 2}))
    planned.acting("rita").keys.sign(REF, key_of(planned, tmp_path, "rita"))
    found = {each.about: each for each in planned.acting("alice").explain(REF, "prepared")[1].signatures}
    assert found["check.plan"].valid
    assert "artifact" not in found


def test_what_lies_spoilt_in_the_store_is_not_signed(builder: Builder, key: str) -> None:
    version = builder.acting("alice").version(REF)
    for file in (builder.home.root / "artifacts").rglob("*"):
        if file.is_file() and file.read_bytes() == b"weights":
            file.chmod(0o644)
            file.write_bytes(b"poison!")
    assert version.artifact
    with pytest.raises(IntegrityViolated, match="holds other bytes"):
        builder.acting("rita").keys.sign(REF, key)
    assert seen(builder) == []


# -- decisions -----------------------------------------------------------------------------------


def summary(builder: Builder, number: int) -> dict[str, Any]:
    with builder.database.read() as session:
        stored = session.scalars(select(EnvelopeRow).where(EnvelopeRow.row == f"decisions:{number}")).one()
        return dict(Statement.parse(base64.b64decode(stored.envelope["payload"])).predicate)


def test_a_decision_is_signed_with_what_it_saw(signed: Builder, key: str) -> None:
    signed.judge(REF, SAFE)  # newer than what rita signed
    refused = signed.acting("alice").promote(REF, "deployed")
    rita = signed.acting("rita")
    assert not refused.allowed
    (view,) = rita.keys.sign(REF, key, decision=refused.id)
    told = summary(signed, refused.id)
    assert (told["verificationResult"], told["verifiedLevels"]) == ("FAILED", ["FAILED"])
    judged = {result.policy for result in refused.verdict.results}
    policies = [f"sha256:{each['digest']['sha256']}" for each in told["phasegate_policies"]]
    assert set(policies) == judged
    assert f"sha256:{told['policy']['digest']['sha256']}" == digest_of(policies)
    with signed.database.read() as session:
        newest = session.scalars(
            select(EvidenceRow.id).where(EvidenceRow.kind == "eval.security").order_by(EvidenceRow.id.desc())
        ).first()
        envelopes = dict(session.execute(select(EnvelopeRow.id, EnvelopeRow.digest)).all())
    inputs = {each["uri"]: f"sha256:{each['digest']['sha256']}" for each in told["inputAttestations"]}
    assert f"phasegate:evidence:{newest}" in inputs, "nobody had signed it"
    by_envelope = {uri: digest for uri, digest in inputs.items() if uri.startswith("phasegate:envelope:")}
    assert len(by_envelope) == len(inputs) - 1
    assert all(envelopes[int(uri.rpartition(":")[2])] == digest for uri, digest in by_envelope.items())
    assert rita.keys.sign(REF, key, decision=refused.id) == []
    found = [each for each in rita.keys.check(REF) if each.about == "decision"]
    assert [(each.envelope, each.valid, each.signer) for each in found] == [(view.envelope, True, "rita")]


def test_a_decision_about_something_else(signed: Builder, key: str) -> None:
    other = signed.plan("other")
    decision = signed.acting("alice").promote(other, "prepared")
    for number in (decision.id, 10_000):
        with pytest.raises(NotFound, match=f"no decision {number} about {REF}"):
            signed.acting("rita").keys.sign(REF, key, decision=number)


# -- what does not count -------------------------------------------------------------------------


def test_a_key_that_nobody_knows_signs_nothing_until_it_is_trusted(builder: Builder, tmp_path: Path) -> None:
    file = tmp_path / "unknown.key"
    root = builder.acting("root")
    made = root.keys.make(file)
    builder.acting("rita").keys.sign(REF, str(file))
    assert {(found.signer, found.valid, found.trusted) for found in seen(builder)} == {("", False, False)}
    assert holding(builder) == set()
    assert builder.acting("rita").keys.sign(REF, str(file)) == []
    assert problems(builder) == []
    root.keys.trust(str(tmp_path / "unknown.pub"), "rita")
    assert {(found.signer, found.keyid) for found in seen(builder)} == {("rita", made.keyid)}
    assert holding(builder) == set(RULES)


def test_a_distrusted_key_takes_all_its_signatures_along(signed: Builder, key: str, tmp_path: Path) -> None:
    root = signed.acting("root")
    (known,) = root.keys.known()
    root.keys.distrust(known.keyid[:8], "laptop stolen")
    assert {(found.signer, found.valid, found.trusted) for found in seen(signed)} == {("rita", True, False)}
    assert holding(signed) == set()
    with pytest.raises(BadInput, match="of rita is not trusted any more"):
        signed.acting("rita").keys.sign(REF, key)
    # Found again, and trusted again: what it signed counts again.
    root.keys.trust(str(Path(key).with_suffix(".pub")), "rita")
    assert holding(signed) == set(RULES)


def test_a_signature_of_an_older_artifact_is_not_seen(signed: Builder, key: str) -> None:
    alice = signed.acting("alice")
    alice.promote(REF, "designed")
    signed.train(REF, b"new weights", actor="bob")
    for stage in ("trained", "evaluated"):
        if stage == "evaluated":
            signed.judge(REF, GOOD_EVALUATION, kind="evaluate")
        assert alice.promote(REF, stage).allowed
    assert {found.about.partition(":")[0] for found in seen(signed)} == {"train", "test"}
    assert holding(signed) == {"data"}
    signed.acting("rita").keys.sign(REF, key)
    assert "artifact" in holding(signed)
    assert "approved" not in holding(signed), "the approval was for the older one"


def test_a_developers_signature_is_not_independent(builder: Builder, tmp_path: Path) -> None:
    builder.acting("bob").keys.sign(REF, key_of(builder, tmp_path, "bob"))
    assert "bob" in builder.acting("alice").explain(REF, "deployed")[1].subject.developers
    assert holding(builder) == {"artifact", "security", "data"}
    builder.acting("rita").keys.sign(REF, key_of(builder, tmp_path, "rita"))
    assert "independent" in holding(builder)


def test_nobody_signs_anothers_approval(builder: Builder, tmp_path: Path) -> None:
    """Whoever acts in somebody's name has not their key: the key's owner counts."""
    file = tmp_path / "hers.key"
    builder.acting("root").keys.make(file)
    builder.acting("rita").keys.sign(REF, str(file))
    builder.acting("root").keys.trust(str(file.with_suffix(".pub")), "mallory")
    found = next(each for each in builder.acting("rita").keys.check(REF) if each.about == "approval")
    assert (found.valid, found.problem) == (False, "rita gave it, and mallory signed it")
    assert "approved" not in holding(builder)


def test_an_approval_of_another_step_is_not_this_ones(signed: Builder) -> None:
    dossier = signed.acting("alice").explain(REF, "retired")[1]
    assert "approval" not in {found.about for found in dossier.signatures}


def test_a_rejection_is_not_signed_as_an_approval(builder: Builder, key: str) -> None:
    builder.acting("rita").reject(REF, "deployed", "second thoughts")
    builder.acting("rita").keys.sign(REF, key)
    assert [found.about for found in seen(builder)][-2:] == ["approval", "rejection"]


# -- tampering, past all triggers ----------------------------------------------------------------


def forge(builder: Builder, about: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Change the columns of a stored envelope by SQL; returns its number."""
    with forging(builder) as connection:
        row = connection.execute(select(ENVELOPES).where(ENVELOPES.c.about == about)).mappings().one()
        connection.execute(update(ENVELOPES).where(ENVELOPES.c.id == row["id"]).values(change(dict(row))))
        return int(row["id"])


def payload(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Another payload under the signature of a stored one."""
    envelope = row["envelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"] |= changes
    forged = {**envelope, "payload": base64.b64encode(json.dumps(statement).encode()).decode()}
    return {"envelope": forged, "digest": digest_of(forged)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: payload(row, metrics={"unsafe_files": 0}), "the signature is not of that key"),
        (lambda row: {"envelope": {}}, "no DSSE envelope"),
        (lambda row: {"envelope": [7]}, "no DSSE envelope"),
        (lambda row: {"envelope": {"dsseEnvelope": "x"}}, "no DSSE envelope"),
        (lambda row: {"subject": "sha256:" + "0" * 64}, "another digest"),
        (
            lambda row: {"envelope": {**row["envelope"], "payloadType": "x"}},
            "the signature is not of that key",
        ),
        (
            lambda row: {"envelope": {**row["envelope"], "signatures": []}},
            "no DSSE envelope",
        ),
        (lambda row: {"row": "evidence:1"}, "another digest"),
        (lambda row: {"row": "evidence:9999"}, "there is no row evidence:9999"),
        (lambda row: {"row": "actors:1"}, "there is no row actors:1"),
    ],
)
def test_an_envelope_that_was_changed_in_the_database(
    signed: Builder, change: Callable[[dict[str, Any]], dict[str, Any]], said: str
) -> None:
    number = forge(signed, "eval.security", change)
    assert holding(signed) == set(RULES) - {"security"}
    (told,) = problems(signed)
    assert told.startswith(f"envelope {number} over ")
    assert said in told
    assert not signed.acting("alice").promote(REF, "deployed").allowed


def test_a_signature_of_another_piece_of_evidence(builder: Builder, key: str) -> None:
    """The newest check found something; somebody moves the older check's signature to it."""
    builder.acting("rita").keys.sign(REF, key)
    builder.judge(REF, Finding("eval.security", {"files": 1, "unsafe_files": 1, "unknown_files": 0}))
    with builder.database.read() as session:
        newest = session.scalars(select(EvidenceRow.id).order_by(EvidenceRow.id.desc())).first()
    number = forge(builder, "eval.security", lambda row: {"row": f"evidence:{newest}"})
    (found,) = [each for each in seen(builder) if each.about == "eval.security"]
    assert (found.signer, found.valid) == ("rita", False)
    assert "security" not in holding(builder)
    assert problems(builder) == [f"envelope {number} over evidence:{newest}: it is about another row"]


def test_evidence_that_was_changed_after_it_was_signed(signed: Builder) -> None:
    evidence: Table = EvidenceRow.__table__  # type: ignore[assignment]
    with forging(signed) as connection:
        connection.execute(
            update(evidence).where(evidence.c.kind == "eval.security").values(metrics={"unsafe_files": 0})
        )
    assert "security" not in holding(signed)
    (told,) = problems(signed)
    assert "the row is not what was signed" in told


@pytest.mark.parametrize(
    "manifest", [{"model.safetensors": "sha256:" + "0" * 64}, {}, [], 7, "x", {"a": [2**60]}]
)
def test_an_artifact_whose_manifest_was_changed(signed: Builder, manifest: Any) -> None:
    from registry.storage.tables import Artifact

    artifacts: Table = Artifact.__table__  # type: ignore[assignment]
    digest = signed.acting("alice").version(REF).artifact
    with forging(signed) as connection:
        connection.execute(update(artifacts).where(artifacts.c.digest == digest).values(manifest=manifest))
    assert holding(signed) & {"artifact", "independent"} == set()
    assert ["manifest is not the one that its digest names" in told for told in problems(signed)] == [True]


def test_another_key_under_a_trusted_keys_name(signed: Builder, tmp_path: Path) -> None:
    """Who can change the database puts a key of their own in the place of a trusted one's."""
    keys: Table = TrustedKeyRow.__table__  # type: ignore[assignment]
    mine = signed.acting("root").keys.make(tmp_path / "mine.key")
    with forging(signed) as connection:
        connection.execute(update(keys).values(public=mine.pem))
    assert holding(signed) == set()
    assert {"key is not the one that its id names" in told for told in problems(signed)} == {True}


def test_an_envelope_that_was_added_behind_the_ledgers_back(signed: Builder) -> None:
    with forging(signed) as connection:
        row = dict(connection.execute(select(ENVELOPES).limit(1)).mappings().one())
        connection.execute(insert(ENVELOPES).values({**row, "id": 1000}))
    assert signed.acting("alice").verify().problems == [
        "row envelopes:1000 is in no ledger entry: it was added behind the ledger's back"
    ]


# -- keys ----------------------------------------------------------------------------------------


def test_only_an_admin_says_whom_to_trust(builder: Builder, tmp_path: Path) -> None:
    alice = builder.acting("alice")
    made = alice.keys.make(tmp_path / "a.key")
    for attempt in (
        lambda: alice.keys.trust(str(tmp_path / "a.pub"), "alice"),
        lambda: alice.keys.make(tmp_path / "b.key", owner="alice"),
        lambda: alice.keys.distrust(made.keyid, "why not"),
    ):
        with pytest.raises(NotPermitted, match="takes the role admin"):
            attempt()
    assert not (tmp_path / "b.key").exists()
    assert alice.keys.known() == []


def test_a_key_is_of_one_person(builder: Builder, key: str) -> None:
    root = builder.acting("root")
    public = str(Path(key).with_suffix(".pub"))
    for owner in ("rita", "mallory"):
        with pytest.raises(AlreadyExists, match="trusted already, as rita's"):
            root.keys.trust(public, owner)
    (known,) = root.keys.known()
    assert (known.owner, known.trusted, known.created_by, known.ended_by) == ("rita", True, "root", "")
    root.keys.distrust(known.keyid, "lost")
    root.keys.trust(public, "otto")
    assert [(each.owner, each.trusted) for each in root.keys.known()] == [("rita", False), ("otto", True)]
    assert root.verify().ok


@pytest.mark.parametrize(
    ("keyid", "reason", "error", "said"),
    [
        ("0" * 64, "lost", NotFound, "no key"),
        ("abc", "lost", BadInput, "too short"),
        ("0" * 64, "  ", BadInput, "needs a reason"),
    ],
)
def test_a_key_that_cannot_be_distrusted(
    builder: Builder, keyid: str, reason: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        builder.acting("root").keys.distrust(keyid, reason)


def test_an_owner_whose_name_cannot_be(builder: Builder, tmp_path: Path) -> None:
    with pytest.raises(BadName):
        builder.acting("root").keys.make(tmp_path / "a.key", owner="no such/name")
    assert list(tmp_path.glob("*.key")) == []
