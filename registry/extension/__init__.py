"""What a plugin author needs: the contract, the context, the results, and a test suite to inherit."""

from registry.extension.context import RunContext
from registry.extension.contract import (
    CheckPlugin,
    DeployPlugin,
    DesignPlugin,
    EvaluatePlugin,
    MonitorPlugin,
    Plugin,
    PluginConfig,
    PreparePlugin,
    RetirePlugin,
    TrainPlugin,
)
from registry.extension.estimates import Estimate
from registry.extension.inputs import DatasetInput, DeploymentInput, EvidenceInput, ModelInput, OriginInput
from registry.extension.parts import Part, PartEnd
from registry.extension.predictor import Predictor
from registry.extension.results import (
    DatasetDraft,
    Deployed,
    Designed,
    Evidence,
    Prepared,
    Replayed,
    Retired,
    Trained,
)

__all__ = [
    "CheckPlugin",
    "DatasetDraft",
    "DatasetInput",
    "DeployPlugin",
    "Deployed",
    "DeploymentInput",
    "DesignPlugin",
    "Designed",
    "Estimate",
    "EvaluatePlugin",
    "Evidence",
    "EvidenceInput",
    "ModelInput",
    "MonitorPlugin",
    "OriginInput",
    "Part",
    "PartEnd",
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
