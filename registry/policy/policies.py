"""Policies and bindings as immutable documents, known by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from registry.domain.decision import Action
from registry.domain.digests import digest_of
from registry.errors import BadInput
from registry.policy.scopes import EVERYTHING, BindingScope

Scalar = bool | float | str
WAIVER_DAYS = 30  # that a waiver may last unless its policy says otherwise
ParamValue = Scalar | tuple[bool, ...] | tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Validation:
    """One rule of a policy. Its texts are CEL, or templates with places to fill in: `{version}`.

    Attributes:
        each: `data` or `targets`: the rule is judged once per item, bound to `item`; no items, no pass.
        expression: True permits. Nothing else does.
        message: Template of why it fails.
        message_expression: CEL text that replaces `message`, if it can be evaluated.
        value: CEL of what was seen.
        limit: CEL of what was asked for.
        remedy: Template of the command that repairs a failure.
        supply: Template of the command that makes the evidence, where that is another one.
        waivable: Whether people may grant an exception to it.
    """

    id: str
    expression: str
    message: str
    each: str = ""
    message_expression: str = ""
    value: str = ""
    limit: str = ""
    remedy: str = ""
    supply: str = ""
    waivable: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """Which steps a policy governs.

    Attributes:
        to: Stages that are entered, or guarded aliases as `@NAME`.
        origin: Stages that are left; empty for any. An open step is governed only if its origin is named.
        when: CEL over `subject`, `to`, `now`, `actor`, `approvals`, `champion.exists` and `params`: not over
            what was measured; empty for always.
    """

    to: tuple[str, ...]
    origin: tuple[str, ...] = ()
    when: str = ""


@dataclass(frozen=True, eq=False)
class GatePolicy:
    """Rules for some steps. Two policies are the same if their digests are.

    Attributes:
        max_waiver_days: How long an exception to one of its rules may last; 0 for never.
    """

    name: str
    match: Match
    validations: tuple[Validation, ...]
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    title: str = ""
    description: str = ""
    controls: tuple[str, ...] = ()
    max_waiver_days: int = WAIVER_DAYS

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", _params_in(self.params))

    @cached_property
    def document(self) -> dict[str, Any]:
        """The policy as JSON values; what is at its default is left out, so new fields keep old digests."""
        metadata = _filled(
            name=self.name, title=self.title, description=self.description, controls=list(self.controls)
        )
        match = _filled(
            **{"to": list(self.match.to), "from": list(self.match.origin), "when": self.match.when}
        )
        waivers = {} if self.max_waiver_days == WAIVER_DAYS else {"max_days": self.max_waiver_days}
        return {
            "kind": "GatePolicy",
            "metadata": metadata,
            "match": match,
            "params": _params_out(self.params),
            "validations": [_validation_out(rule) for rule in self.validations],
            **_filled(waivers=waivers),
        }

    @cached_property
    def digest(self) -> str:
        return digest_of(self.document)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> GatePolicy:
        """Rebuild a policy from its stored document; the digest is the same again."""
        metadata, match = document["metadata"], document["match"]
        return cls(
            name=metadata["name"],
            title=metadata.get("title", ""),
            description=metadata.get("description", ""),
            controls=tuple(metadata.get("controls", ())),
            match=Match(tuple(match["to"]), tuple(match.get("from", ())), match.get("when", "")),
            params=_params_in(document["params"]),
            validations=tuple(_validation_in(rule) for rule in document["validations"]),
            max_waiver_days=document.get("waivers", {}).get("max_days", WAIVER_DAYS),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GatePolicy) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True, eq=False)
class GateBinding:
    """A policy put in force, with its own parameters, an action, and a scope if it is not for everything."""

    name: str
    policy: str
    action: Action
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    description: str = ""
    scope: BindingScope = EVERYTHING

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", _params_in(self.params))

    @cached_property
    def document(self) -> dict[str, Any]:
        """The binding as JSON values; a scope that covers everything is left out."""
        return {
            "kind": "GateBinding",
            "metadata": _filled(name=self.name, description=self.description),
            "policy": self.policy,
            "params": _params_out(self.params),
            "action": self.action.value,
            **_filled(scope=self.scope.document),
        }

    @cached_property
    def digest(self) -> str:
        return digest_of(self.document)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> GateBinding:
        """Rebuild a binding from its stored document."""
        return cls(
            name=document["metadata"]["name"],
            policy=document["policy"],
            action=Action(document["action"]),
            params=_params_in(document["params"]),
            description=document["metadata"].get("description", ""),
            scope=BindingScope.from_document(document.get("scope", {})),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GateBinding) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def param_type(value: ParamValue) -> str:
    """`number`, `text`, `truth value`, or `list of` one of them. An empty list is one of text."""
    if isinstance(value, tuple):
        return "list of " + (param_type(value[0]) if value else "text")
    if isinstance(value, bool):
        return "truth value"
    return "number" if isinstance(value, float) else "text"


# A validation's texts and their names in YAML and in the stored document.
VALIDATION_FIELDS = {
    "id": "id",
    "each": "each",
    "expression": "expression",
    "message": "message",
    "messageExpression": "message_expression",
    "value": "value",
    "limit": "limit",
    "remedy": "remedy",
    "supply": "supply",
}


def _validation_out(rule: Validation) -> dict[str, Any]:
    texts = _filled(**{key: getattr(rule, name) for key, name in VALIDATION_FIELDS.items()})
    return texts if rule.waivable else {**texts, "waivable": False}


def _validation_in(document: Mapping[str, Any]) -> Validation:
    texts = {VALIDATION_FIELDS[key]: value for key, value in document.items() if key != "waivable"}
    return Validation(**texts, waivable=document.get("waivable", True))


def _params_out(params: Mapping[str, ParamValue]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in params.items()}


def _params_in(document: Mapping[str, Any]) -> dict[str, ParamValue]:
    return {name: as_param(value) for name, value in document.items()}


def as_param(value: Any) -> ParamValue:
    """A JSON value as a parameter: every number is a double, as every metric is."""
    if isinstance(value, list | tuple):
        return tuple(as_param(item) for item in value)  # type: ignore[return-value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool | float | str):
        return value
    raise BadInput(f"{value!r} cannot be a parameter: it is no number, text or truth value")


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
