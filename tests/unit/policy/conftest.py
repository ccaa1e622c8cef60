"""Settings of the property tests."""

from __future__ import annotations

from hypothesis import settings

# The first example pays for loading CEL and protobuf, and a busy machine for everything else.
settings.register_profile("policy", deadline=None)
settings.load_profile("policy")
