"""What a case gives, as a dossier. Every field that no dossier has is a problem, with its line and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_origin

from registry.domain.dossier import (
    ApprovalFacts,
    ChampionFacts,
    DataFacts,
    DeploymentFacts,
    Dossier,
    FindingFacts,
    RiskFacts,
    SubjectFacts,
    SystemFacts,
    TargetFacts,
    WaiverFacts,
)
from registry.domain.evidence import EvidenceFacts, EvidenceStatus
from registry.domain.lifecycle import Step
from registry.domain.targets import Target
from registry.policy.cases.defaults import NOW, defaults_of, sample_digest
from registry.policy.cases.scalars import read_scalar, read_time
from registry.policy.cases.shorthand import read_target, read_waived
from registry.policy.policies import WAIVER_DAYS, GatePolicy
from registry.policy.schema import part_of, seen_fields
from registry.policy.yaml_nodes import Source, kind_of

if TYPE_CHECKING:
    from yaml.nodes import Node

# Fields that hold one of a few words: a misspelt one would be judged as something else, silently.
_WORDS: Mapping[tuple[type, str], tuple[str, ...]] = {
    (EvidenceFacts, "status"): tuple(status.value for status in EvidenceStatus),
    (ApprovalFacts, "verdict"): ("approved", "rejected"),
    (DeploymentFacts, "state"): ("starting", "active", "failed", "stopped"),
    (FindingFacts, "severity"): ("low", "medium", "high", "critical"),
    (RiskFacts, "state"): ("open", "accepted", "closed"),
    (TargetFacts, "op"): (">=", "<=", ">", "<"),
}
_CALLED = {EvidenceFacts: "evidence", DataFacts: "a dataset"}


def read_given(source: Source, node: Node | None, policy: GatePolicy, step: Step) -> Dossier:
    """The dossier that a case gives; what is wrong with it is reported to the source."""
    return _Given(source, policy, step).dossier(node)


class _Given:
    def __init__(self, source: Source, policy: GatePolicy, step: Step) -> None:
        self._source = source
        self._policy = policy
        self._step = step
        self._now = NOW
        self._subject: SubjectFacts | None = None
        self._evidence = 0

    def dossier(self, node: Node | None) -> Dossier:
        hints = seen_fields(Dossier)
        fields = self._source.mapping(node, "given", [name for name in hints if name != "to"])
        if "now" in fields:
            self._now = read_time(self._source, fields.pop("now"), "now", NOW) or NOW
        self._subject = subject = self._read_subject(fields.pop("subject", None))
        values = defaults_of(Dossier, self._now, subject=subject, to=self._step.to, now=self._now)
        values["actor"] = self._object(None, hints["actor"], "actor")
        values["champion"] = hints["champion"]()
        for name, value in fields.items():
            read = self._value(value, hints[name], name)
            if read is not None:
                values[name] = read
        return Dossier(**values)

    def _read_subject(self, node: Node | None) -> SubjectFacts:
        known = [name for name in seen_fields(SubjectFacts) if name != "stage"]
        fields = self._source.mapping(node, "subject", known)
        ref = self._value(fields.pop("ref"), str, "ref") if "ref" in fields else "sample/1"
        model, _, number = str(ref).rpartition("/")
        system = fields.pop("system", None)
        around = {
            "ref": ref,
            "model": model,
            "number": int(number) if number.isdigit() else 1,
            "stage": self._step.origin,
        }
        values = self._fields(fields, SubjectFacts, "subject", around)
        tier = values["risk_tier"]
        values["system"] = self._object(system, SystemFacts, "system", risk_tier=tier)
        return SubjectFacts(**values)

    def _value(self, node: Node, hint: Any, what: str) -> Any:
        """A value of a field's type; None, and a problem, if it is none."""
        if get_origin(hint) is tuple:
            return self._items(node, part_of(hint), what)
        if is_dataclass(hint):
            assert isinstance(hint, type)
            return self._object(node, hint, what)
        if hint in (str, int, float, bool, datetime):
            return read_scalar(self._source, node, hint, what, self._now)
        return self._entries(node, part_of(hint), what)

    def _entries(self, node: Node, part: Any, what: str) -> dict[str, Any] | None:
        """A mapping by kind, role, metric ..."""
        read = {}
        for name, (_, value) in self._source.entries(node, what).items():
            item: Any
            if part is DataFacts:
                item = self._data(value, name)
            elif part is EvidenceFacts:
                assert self._subject is not None
                item = self._piece(value, name, self._subject.artifact)
            else:
                item = self._value(value, part, f"{what} {name!r}")
            if item is not None:
                read[name] = item
        return read

    def _items(self, node: Node, part: Any, what: str) -> tuple[Any, ...] | None:
        if kind_of(node) != "seq":
            self._source.wrong_kind(node, what, "a list")
            return None
        if not is_dataclass(part):
            read = [self._value(item, part, f"an entry of {what}") for item in node.value]
            return tuple(value for value in read if value is not None)
        assert isinstance(part, type)
        sugar: Mapping[type, Callable[[Node, int], Any]] = {
            TargetFacts: self._target,
            ApprovalFacts: self._approval,
            WaiverFacts: self._waiver,
        }
        made = []
        for number, item in enumerate(node.value, 1):
            if part in sugar:
                made.append(sugar[part](item, number))
            else:
                made.append(self._object(item, part, f"an entry of {what}", id=number))
        return tuple(value for value in made if value is not None)

    def _object(self, node: Node | None, cls: type, what: str, **around: Any) -> Any:
        """An instance of a class of the dossier, whatever is not said by default."""
        assert self._subject is not None or cls is SystemFacts
        if cls is DeploymentFacts and self._subject is not None:
            around["artifact"] = self._subject.artifact
        if cls is ChampionFacts and node is None:
            return cls()
        fields = self._source.mapping(node, _CALLED.get(cls, what), tuple(seen_fields(cls)))
        return cls(**self._fields(fields, cls, what, around))

    def _fields(
        self, fields: Mapping[str, Node], cls: type, what: str, around: Mapping[str, Any]
    ) -> dict[str, Any]:
        hints = seen_fields(cls)
        known = {name: value for name, value in around.items() if name in hints}
        values = defaults_of(cls, self._now, **known)
        for name, node in fields.items():
            if words := _WORDS.get((cls, name)):
                read: Any = self._source.choice_of(node, name, words)
            else:
                read = self._value(node, hints[name], f"{name} of {what}")
            if read is not None:
                values[name] = read
        return values

    def _piece(self, node: Node, kind: str, about: str) -> EvidenceFacts:
        assert self._subject is not None
        self._evidence += 1
        made: EvidenceFacts = self._object(
            node,
            EvidenceFacts,
            kind,
            id=self._evidence,
            kind=kind,
            subject=about,
            criteria_digest=self._subject.criteria_digest,
        )
        return made

    def _data(self, node: Node, role: str) -> DataFacts:
        fields = self._source.mapping(node, "a dataset", tuple(seen_fields(DataFacts)))
        evidence = fields.pop("evidence", None)
        around = {"ref": f"sample-{role}/1", "role": role, "digest": sample_digest(f"data {role}")}
        data = self._fields(fields, DataFacts, f"data {role!r}", around)
        found = self._source.entries(evidence, "evidence")
        data["evidence"] = {
            kind: self._piece(piece, kind, data["digest"]) for kind, (_, piece) in found.items()
        }
        return DataFacts(**data)

    def _target(self, node: Node, _: int) -> TargetFacts | None:
        """`f1>=0.9`, `f1>=0.9 measured 0.93`, or a mapping, which may hold such a text as `target`."""
        fields: dict[str, Node] = {}
        around: dict[str, Any] = {}
        if kind_of(node) == "map":
            fields = self._source.mapping(node, "a target", ("target", *seen_fields(TargetFacts)))
            text = fields.pop("target", None)
        else:
            text = node
        if text is not None:
            told = read_target(self._source, text)
            if told is None:
                return None
            around = told
        elif "metric" not in fields:
            self._source.report(node, "a target needs a metric", "write 'f1>=0.9 measured 0.93'")
            return None
        if "value" in fields:
            around["measured"] = True
        values = self._fields(fields, TargetFacts, "a target", around)
        if "met" not in fields:
            target = Target(values["metric"], values["op"], values["threshold"])
            values["met"] = values["measured"] and target.met_by(values["value"])
        if not values["measured"]:
            values["criteria_current"] = values["criteria_current"] and "criteria_current" in fields
        return TargetFacts(**values)

    def _approval(self, node: Node, _: int) -> ApprovalFacts | None:
        """Somebody's name, or a mapping."""
        around: dict[str, Any] = {"to": self._step.to}
        if kind_of(node) == "str":
            values = self._fields({}, ApprovalFacts, "an approval", {**around, "actor": str(node.value)})
            return ApprovalFacts(**values)
        fields = self._source.mapping(node, "an approval", tuple(seen_fields(ApprovalFacts)), ("actor",))
        return ApprovalFacts(**self._fields(fields, ApprovalFacts, "an approval", around))

    def _waiver(self, node: Node, number: int) -> WaiverFacts | None:
        """The rule's id, or a mapping. It is for the policy under test unless it says another digest."""
        fields: dict[str, Node] = {}
        if kind_of(node) == "map":
            fields = self._source.mapping(node, "a waiver", tuple(seen_fields(WaiverFacts)), ("rule",))
            place = fields.pop("rule", None)
        else:
            place = node
        rule = read_waived(self._source, place, self._policy)
        if rule is None:
            return None
        days = min(WAIVER_DAYS, self._policy.max_waiver_days)
        until = self._now + timedelta(days=days)
        around = {"id": number, "rule": rule, "policy": self._policy.digest, "until": until}
        return WaiverFacts(**self._fields(fields, WaiverFacts, "a waiver", around))
