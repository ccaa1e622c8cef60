"""Roles: what somebody may do."""

from __future__ import annotations

DEVELOPER = "developer"
REVIEWER = "reviewer"
APPROVER = "approver"
DEPLOYER = "deployer"
AUDITOR = "auditor"
ADMIN = "admin"

ROLES = (DEVELOPER, REVIEWER, APPROVER, DEPLOYER, AUDITOR, ADMIN)

# What somebody is to whom nothing was granted.
DEFAULT_ROLE = DEVELOPER
