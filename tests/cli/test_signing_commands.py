"""`phasegate key` and `phasegate sign`, as people type them; what they export, verified by others' tools."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.command import Phasegate
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from integration.builder import Builder
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, Key, SecretsHandler, Signature, Signer, SSlibKey

REF = "loans/1"
EXTRA = ("securesystemslib", "model_signing", "OpenSSL")


@pytest.fixture
def loans(phasegate: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """A registry with loans/1, evaluated; tess is its admin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHASEGATE_SIGNING_KEY", raising=False)
    with Builder(phasegate.home, f"sqlite:///{phasegate.home / 'registry.db'}") as builder:
        builder.bring(builder.plan("loans"), "evaluated")
    return phasegate


@pytest.fixture
def key(loans: Phasegate) -> Path:
    """A key of rita's, which is trusted."""
    loans("key", "make", "rita.key", "--owner", "rita")
    return Path("rita.key")


class Keeper(Signer):
    """Keys that never leave a folder: a signer as a cloud's, but that the cloud is a folder.

    Its URIs are `keeper:FOLDER/NAME`.
    """

    SCHEME = "keeper"

    def __init__(self, private: ec.EllipticCurvePrivateKey, public: SSlibKey) -> None:
        self._private = private
        self._public = public

    @property
    def public_key(self) -> Key:
        return self._public

    @staticmethod
    def _keep(place: str) -> ec.EllipticCurvePrivateKey:
        private = serialization.load_pem_private_key(Path(place).read_bytes(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return private

    @classmethod
    def import_(cls, place: str) -> tuple[str, SSlibKey]:
        """The URI and the public key of what is kept at a place."""
        return f"{cls.SCHEME}:{place}", SSlibKey.from_crypto(cls._keep(place).public_key())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Signer:
        assert isinstance(public_key, SSlibKey)
        return cls(cls._keep(priv_key_uri.partition(":")[2]), public_key)

    def sign(self, payload: bytes) -> Signature:
        return Signature(self._public.keyid, self._private.sign(payload, ec.ECDSA(hashes.SHA384())).hex())


class SilentKeeper(Keeper):
    """One that does not tell public keys."""

    SCHEME = "silent"
    import_ = None  # type: ignore[assignment]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where two keepers keep a P-384 key."""
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, Keeper.SCHEME, Keeper)
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, SilentKeeper.SCHEME, SilentKeeper)
    place = tmp_path / "cloud"
    private = ec.generate_private_key(ec.SECP384R1())
    place.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (tmp_path / "cloud.pub").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return place


# -- keys ----------------------------------------------------------------------------------------


def test_a_key_is_made_trusted_shown_and_distrusted(loans: Phasegate) -> None:
    made = loans("key", "make", "keys/rita.key", "--json").json
    private, public = Path("keys/rita.key"), Path("keys/rita.pub")
    assert (private.stat().st_mode & 0o777, private.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "PRIVATE" not in public.read_text()
    assert (made["file"], made["public"], made["scheme"]) == (
        str(private),
        str(public),
        "ecdsa-sha2-nistp256",
    )
    assert loans("key", "list", "--json").json == []
    assert made["keyid"] in loans("key", "trust", public, "--owner", "rita").out
    (known,) = loans("key", "list", "--json").json
    assert (known["keyid"], known["owner"], known["trusted"]) == (made["keyid"], "rita", True)
    assert known["public"] == public.read_text()
    loans("key", "distrust", made["keyid"][:12], "--reason", "laptop stolen")
    (known,) = loans("key", "list", "--json").json
    assert (known["trusted"], known["ended_by"]) == (False, "tess")
    log = loans("audit", "log", "--action", "key-distrusted").out
    assert f"the key {made['keyid'][:12]} is not trusted any more: laptop stolen" in log
    loans.verify()


def test_a_private_key_never_enters_the_registry(loans: Phasegate, key: Path) -> None:
    loans("sign", REF, "--key", key, "--as", "rita")
    secret = "".join(key.read_text().splitlines()[1:-1])
    for file in loans.home.rglob("*"):
        if file.is_file():
            assert secret[:40].encode() not in file.read_bytes(), file


def test_a_key_is_not_overwritten(loans: Phasegate, key: Path) -> None:
    before = key.read_bytes()
    assert "there is a file at rita.key already" in loans.refuses("key", "make", key).err
    key.rename("elsewhere.key")
    assert "there is a file at rita.pub already" in loans.refuses("key", "make", key).err
    assert Path("elsewhere.key").read_bytes() == before


@pytest.mark.parametrize(
    ("public", "said"),
    [
        ("nowhere.pub", "there is no public key at nowhere.pub"),
        ("rita.key", "give the public key, not the private one"),
        (".", "cannot be read"),
        ("nokms:abc", "nokms: keeps no keys that are known here"),
        ("gcpkms:projects/p", "does not tell its public key"),
        ("gnupg:abc", "does not tell"),
    ],
)
def test_what_cannot_be_trusted(loans: Phasegate, key: Path, public: str, said: str) -> None:
    assert said in loans.refuses("key", "trust", public, "--owner", "rita").err


def test_somebody_without_the_role_trusts_nobody(loans: Phasegate, key: Path) -> None:
    refused = loans("key", "make", "m.key", "--owner", "mallory", "--as", "mallory", expect=1)
    assert "takes the role admin" in refused.err
    assert not Path("m.key").exists()


# -- signing -------------------------------------------------------------------------------------


def test_signing_says_what_it_signed(loans: Phasegate, key: Path) -> None:
    said = loans("sign", REF, "--key", key, "--as", "rita").out.splitlines()
    assert said[0].split("\t") == ["about", "row", "of", "envelope"]
    assert [line.split("\t")[0] for line in said[1:4]] == ["provenance", "artifact", "run.train"]
    again = loans("sign", REF, "--key", key, "--as", "rita").out
    assert again == "Nothing to sign: this key has signed it all.\n"
    loans.verify()


def test_the_key_may_be_named_by_the_environment(
    loans: Phasegate, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no key is named" in loans.refuses("sign", REF).err
    monkeypatch.setenv("PHASEGATE_SIGNING_KEY", str(key))
    assert len(loans("sign", REF, "--json").json) > 3


def test_an_ed25519_key_leaves_the_artifact_and_says_so(loans: Phasegate) -> None:
    loans("key", "make", "ed.key", "--owner", "rita", "--ed25519")
    said = loans("sign", REF, "--key", "ed.key").out
    assert "not signed: model-signing verifies signatures of ECDSA keys only" in said
    assert "artifact" not in {row["about"] for row in loans("key", "check", REF, "--json").json}


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda key: key.chmod(0o644), "can be read by others (mode 644)"),
        (lambda key: key.write_text("nothing"), "holds no private key in PEM"),
        (lambda key: key.write_text(key.with_suffix(".pub").read_text()), "holds no private key in PEM"),
        (lambda key: key.unlink(), "there is no key at rita.key"),
        (lambda key: key.write_bytes(locked()), "locked with a passphrase"),
    ],
)
def test_a_key_that_cannot_sign(
    loans: Phasegate, key: Path, prepare: Callable[[Path], object], said: str
) -> None:
    prepare(key)
    assert said in loans.refuses("sign", REF, "--key", key).err


def locked() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def test_without_the_extra_signing_says_which(
    loans: Phasegate, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loans("sign", REF, "--key", key)
    for name in list(sys.modules):
        if name.partition(".")[0] in EXTRA:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hiding(finder) for finder in sys.meta_path])
    assert "pip install 'phasegate[signing]'" in loans.refuses("sign", REF, "--key", key).err
    # Everything else works, checking what others signed included.
    loans("key", "make", "other.key", "--owner", "otto")
    assert {row["valid"] for row in loans("key", "check", REF, "--json").json} == {True}
    loans("gate", "explain", REF, "deployed", expect=1)


class Hiding:
    """A finder of modules that does not find the extra's packages, as where they are not installed."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in EXTRA else self._finder.find_spec(name, path, target)


# -- keepers of keys -----------------------------------------------------------------------------


def test_a_key_that_never_leaves_its_keeper(loans: Phasegate, kept: Path) -> None:
    uri = f"keeper:{kept}"
    loans("key", "trust", uri, "--owner", "ci")
    (known,) = loans("key", "list", "--json").json
    assert (known["owner"], known["scheme"]) == ("ci", "ecdsa-sha2-nistp384")
    loans("sign", REF, "--key", uri, "--as", "ci")
    rows = loans("key", "check", REF, "-o", "out", "--json").json
    assert {(row["signer"], row["keyid"], row["valid"], row["trusted"]) for row in rows} == {
        ("ci", known["keyid"], True, True)
    }
    assert {"artifact", "provenance"} <= {row["about"] for row in rows}
    verify_with_model_signing(loans, Path("out"))


def test_a_keeper_that_does_not_tell_public_keys(loans: Phasegate, kept: Path) -> None:
    uri = f"silent:{kept}"
    assert "does not tell public keys" in loans.refuses("sign", REF, "--key", uri).err
    loans("key", "trust", f"{kept}.pub", "--owner", "ci")
    loans("sign", REF, "--key", uri, "--public", f"{kept}.pub")
    assert {row["valid"] for row in loans("key", "check", REF, "--json").json} == {True}


def test_a_public_key_that_is_not_the_keepers(loans: Phasegate, kept: Path, key: Path) -> None:
    refused = loans("sign", REF, "--key", f"silent:{kept}", "--public", "rita.pub", expect=2)
    assert "was not signed by the key" in refused.err
    assert loans("key", "check", REF, "--json").json == []


def test_a_keeper_that_cannot_be_reached(loans: Phasegate, kept: Path) -> None:
    uri = f"keeper:{kept}"
    kept.rename(kept.with_name("gone"))
    assert "does not tell its public key" in loans.refuses("sign", REF, "--key", uri).err
    assert "cannot be used" in loans.refuses("sign", REF, "--key", uri, "--public", f"{kept}.pub").err


# -- for others ----------------------------------------------------------------------------------


def artifact_folder(loans: Phasegate, manifest: dict[str, str], folder: Path) -> Path:
    """The artifact's files by name, copied out of the store."""
    for name, digest in manifest.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        hex = digest.removeprefix("sha256:")
        shutil.copy(loans.home / "artifacts" / "sha256" / hex[:2] / hex, folder / name)
        (folder / name).chmod(0o644)
    return folder


def model_signing(folder: Path, signature: Path, key: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    options = ["--signature", str(signature), "--public_key", str(key)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def verify_with_model_signing(loans: Phasegate, out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    folder = artifact_folder(loans, manifest, out.parent / "artifact")
    (signature,) = out.glob("model-*.sig")
    (public,) = out.glob("*.pub")
    good = model_signing(folder, signature, public)
    assert good.returncode == 0, good.stdout + good.stderr
    (folder / "phasegate.json").write_text("changed")
    bad = model_signing(folder, signature, public)
    assert bad.returncode != 0
    assert "Hash mismatch" in bad.stdout + bad.stderr


def test_model_signings_own_command_verifies_the_artifact(loans: Phasegate, key: Path) -> None:
    loans("sign", REF, "--key", key)
    loans("key", "check", REF, "-o", "out")
    verify_with_model_signing(loans, Path("out"))


def test_in_totos_and_securesystemslibs_libraries_verify_the_rest(loans: Phasegate, key: Path) -> None:
    decision = loans("promote", REF, "deployed", "--json", expect=1).json["id"]
    loans("sign", REF, "--key", key)
    loans("sign", REF, "--key", key, "--decision", decision)
    rows = loans("key", "check", REF, "-o", "out", "--json").json
    assert {Path(row["file"]).name for row in rows} | {"manifest.json"} | {
        path.name for path in Path("out").glob("*.pub")
    } == {path.name for path in Path("out").iterdir()}
    (public,) = Path("out").glob("*.pub")
    theirs = SSlibKey.from_crypto(serialization.load_pem_public_key(public.read_bytes()))  # type: ignore[arg-type]
    types = set()
    for file in Path("out").glob("*.intoto.jsonl"):
        envelope = Envelope.from_dict(json.loads(file.read_text()))
        assert set(envelope.verify([theirs], 1)) == {theirs.keyid}
        assert envelope.payload_type == "application/vnd.in-toto+json"
        parsed = json_format.Parse(envelope.payload, statement_pb2.Statement())
        Statement.copy_from_pb(parsed).validate()
        types.add(parsed.predicate_type)
    assert types == {
        "https://phasegate.dev/evidence/v1",
        "https://slsa.dev/provenance/v1",
        "https://slsa.dev/verification_summary/v1",
    }


def test_the_manifest_is_what_the_artifacts_digest_is_of(loans: Phasegate, key: Path) -> None:
    from registry.files import sha256_of

    loans("sign", REF, "--key", key)
    loans("key", "check", REF, "-o", "out")
    digest = loans("model", "show", REF, "--json").json["artifact"]
    assert sha256_of(Path("out/manifest.json")) == digest
    provenance = json.loads(next(Path("out").glob("runs-*")).read_text())
    statement = json.loads(base64.b64decode(provenance["payload"]))
    assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == digest


def test_a_folder_that_cannot_be_written(loans: Phasegate, key: Path) -> None:
    loans("sign", REF, "--key", key)
    Path("out").write_text("a file")
    assert "out/here cannot be written" in loans.refuses("key", "check", REF, "-o", "out/here").err


def test_a_signature_that_is_not_valid_is_an_integrity_violation(loans: Phasegate, key: Path) -> None:
    import sqlite3
    from contextlib import closing

    loans("sign", REF, "--key", key)
    with closing(sqlite3.connect(loans.home / "registry.db")) as connection, connection:
        connection.execute("DROP TRIGGER keep_evidence_update")
        connection.execute("UPDATE evidence SET coverage = 0.5 WHERE kind = 'run.train'")
    shown = loans("key", "check", REF, expect=4).out
    (bad,) = [line for line in shown.splitlines() if line.startswith("run.train")]
    assert bad.split("\t")[-2:] == ["no", "the row is not what was signed"]


def test_a_version_that_nobody_signed(loans: Phasegate) -> None:
    assert loans("key", "check", REF, "--json").json == []
    assert "there is no model 'nothing'" in loans.refuses("key", "check", "nothing/1").err
