"""Every table. Importing this package fills `Base.metadata`."""

from registry.storage.tables.base import APPEND_ONLY, Base
from registry.storage.tables.data import Artifact, Dataset, DatasetParent, DatasetVersion
from registry.storage.tables.evidence import EvidenceRow
from registry.storage.tables.governance import (
    ApprovalRow,
    BindingRow,
    DecisionRow,
    LifecycleRow,
    PolicyRow,
    TransitionRow,
)
from registry.storage.tables.ledger import LedgerEntry, LedgerHead, LedgerNode
from registry.storage.tables.models import Model, System, Version, VersionData
from registry.storage.tables.people import ActorRow
from registry.storage.tables.runs import Deployment, Run, RunInput, RunLease, RunMetric, RunOutput

__all__ = [
    "APPEND_ONLY",
    "ActorRow",
    "ApprovalRow",
    "Artifact",
    "Base",
    "BindingRow",
    "Dataset",
    "DatasetParent",
    "DatasetVersion",
    "DecisionRow",
    "Deployment",
    "EvidenceRow",
    "LedgerEntry",
    "LedgerHead",
    "LedgerNode",
    "LifecycleRow",
    "Model",
    "PolicyRow",
    "Run",
    "RunInput",
    "RunLease",
    "RunMetric",
    "RunOutput",
    "System",
    "TransitionRow",
    "Version",
    "VersionData",
]
