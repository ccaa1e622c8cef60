"""What a plugin author needs: the contract, the context, the results, and a test suite to inherit."""

from registry.extension.context import RunContext
from registry.extension.contract import (
    CheckPlugin,
    DeployPlugin,
    EvaluatePlugin,
    MonitorPlugin,
    Plugin,
    PluginConfig,
    PreparePlugin,
    RetirePlugin,
    TrainPlugin,
)
from registry.extension.inputs import DatasetInput, DeploymentInput, EvidenceInput, ModelInput, OriginInput
from registry.extension.predictor import Predictor
from registry.extension.results import DatasetDraft, Deployed, Evidence, Prepared, Replayed, Retired, Trained

__all__ = [
    "CheckPlugin",
    "DatasetDraft",
    "DatasetInput",
    "DeployPlugin",
    "Deployed",
    "DeploymentInput",
    "EvaluatePlugin",
    "Evidence",
    "EvidenceInput",
    "ModelInput",
    "MonitorPlugin",
    "OriginInput",
    "Plugin",
    "PluginConfig",
    "Predictor",
    "PreparePlugin",
    "Prepared",
    "Replayed",
    "RetirePlugin",
    "Retired",
    "RunContext",
    "TrainPlugin",
    "Trained",
]
