"""Policies: YAML in, typed rules, and decisions on a dossier out. Pure: nothing here reads or writes.

Importing this package loads neither CEL, protobuf nor YAML; the functions that need them do.
"""

from registry.policy.binding import BoundPolicy, bind
from registry.policy.documents import PolicyFile, check, parse_documents
from registry.policy.gate import decide
from registry.policy.lifecycles import parse_lifecycle
from registry.policy.policies import GateBinding, GatePolicy, Match, ParamValue, Validation
from registry.policy.shipped import shipped_lifecycle, shipped_policies

__all__ = [
    "BoundPolicy",
    "GateBinding",
    "GatePolicy",
    "Match",
    "ParamValue",
    "PolicyFile",
    "Validation",
    "bind",
    "check",
    "decide",
    "parse_documents",
    "parse_lifecycle",
    "shipped_lifecycle",
    "shipped_policies",
]
