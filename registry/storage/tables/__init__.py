"""Every table. Importing this package fills `Base.metadata`."""

from registry.storage.tables.base import APPEND_ONLY, Base
from registry.storage.tables.data import Artifact, Dataset, DatasetParent, DatasetVersion
from registry.storage.tables.evidence import EvidenceRow
from registry.storage.tables.governance import (
    AliasRow,
    ApprovalRow,
    BindingRow,
    DecisionRow,
    LifecycleRow,
    PolicyRow,
    TransitionRow,
)
from registry.storage.tables.ledger import LedgerEntry, LedgerHead, LedgerNode
from registry.storage.tables.models import Model, System, Version, VersionData
from registry.storage.tables.people import ActorRow, DelegationRow, GrantRow, GroupRow, MemberRow
from registry.storage.tables.risks import FindingRow, RiskRow, TierAssessmentRow, WaiverRow
from registry.storage.tables.runs import Deployment, Run, RunInput, RunLease, RunMetric, RunOutput
from registry.storage.tables.signing import EnvelopeRow, TrustedKeyRow

__all__ = [
    "APPEND_ONLY",
    "ActorRow",
    "AliasRow",
    "ApprovalRow",
    "Artifact",
    "Base",
    "BindingRow",
    "Dataset",
    "DatasetParent",
    "DatasetVersion",
    "DecisionRow",
    "DelegationRow",
    "Deployment",
    "EnvelopeRow",
    "EvidenceRow",
    "FindingRow",
    "GrantRow",
    "GroupRow",
    "LedgerEntry",
    "LedgerHead",
    "LedgerNode",
    "LifecycleRow",
    "MemberRow",
    "Model",
    "PolicyRow",
    "RiskRow",
    "Run",
    "RunInput",
    "RunLease",
    "RunMetric",
    "RunOutput",
    "System",
    "TierAssessmentRow",
    "TransitionRow",
    "TrustedKeyRow",
    "Version",
    "VersionData",
    "WaiverRow",
]
