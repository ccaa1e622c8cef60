"""Roles: what somebody may do that no policy judges.

Planning, training and evaluating is anybody's, for the gates judge what comes of it. What a gate
takes somebody's word for, and what changes the gates themselves, needs a role.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DEVELOPER = "developer"
REVIEWER = "reviewer"
APPROVER = "approver"
DEPLOYER = "deployer"
AUDITOR = "auditor"
ADMIN = "admin"

# Role -> what it is for.
ROLES: Mapping[str, str] = {
    DEVELOPER: "plans, trains, evaluates; what everybody is to whom nothing was granted",
    REVIEWER: "raises findings and closes them, keeps the risk register",
    APPROVER: "approves and rejects steps, decides waivers and risk tiers, accepts risks",
    DEPLOYER: "brings approved versions into service, where a policy asks for it",
    AUDITOR: "reads, and writes nothing, if it is all that somebody is",
    ADMIN: "publishes and binds policies, grants roles, trusts keys, erases personal data",
}

# What somebody is to whom nothing was granted.
DEFAULT_ROLE = DEVELOPER

# How an embedded registry knows who acts.
EMBEDDED_TRUST = (
    "an embedded registry trusts the operating system's user: "
    "whoever can write its files, or its database, can act as anybody"
)

_ERASED = re.compile(r"erased-[0-9]+\Z")


def name_when_erased(actor: int) -> str:
    """What somebody is called once their name is erased."""
    return f"erased-{actor}"


def is_erased(name: str) -> bool:
    """Whether a name is what is left of somebody whose name was erased."""
    return _ERASED.match(name) is not None
