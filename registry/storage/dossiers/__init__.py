"""From rows to the dossier that a gate sees: the crossing between storage and policy.

Every promotion comes through here with its locks held, so statements are built
once, and columns are read over the session's connection instead of objects over
the session: half the time.
"""

from registry.storage.dossiers.build import build_dossier
from registry.storage.dossiers.content import as_json, basis_of, content_digest, targets_of
from registry.storage.dossiers.involved import basis_now, find_words
from registry.storage.dossiers.judged import find_evidence, measured_by
from registry.storage.dossiers.origin import find_descendants

__all__ = [
    "as_json",
    "basis_now",
    "basis_of",
    "build_dossier",
    "content_digest",
    "find_descendants",
    "find_evidence",
    "find_words",
    "measured_by",
    "targets_of",
]
