"""People, loans of roles and aliases for tests; and a registry that has seen all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from integration.builder import Builder

from registry.policy import parse_documents
from registry.storage.lifecycles import current_lifecycle


def soon(**away: float) -> datetime:
    """A moment from now on."""
    return datetime.now(UTC) + timedelta(**away)


def publish(builder: Builder, text: str) -> None:
    """Publish policies of a YAML text, and put their bindings in force."""
    with builder.database.read() as session:
        read = parse_documents(text, "test.yaml", current_lifecycle(session))
    builder.acting("root").publish(read.policies, read.bindings)


def live_with_people(builder: Builder, ref: str) -> None:
    """Rows in every table of people and aliases, ended ones among them; `ref` waits for its first stage."""
    root = builder.acting("root")
    for name, role in (("pia", "approver"), ("paul", "reviewer"), ("penny", "deployer")):
        root.people.grant(name, role)
    root.people.revoke("penny", "deployer")
    root.people.add_group("model-risk")
    for name in ("pia", "paul"):
        root.people.join("model-risk", name)
    root.people.leave("model-risk", "paul")
    pia = builder.acting("pia")
    pia.people.delegate("approver", "paul", until=soon(days=30), reason="on leave")
    builder.acting("paul").approve(ref, "prepared")
    pia.people.undelegate("approver", "paul")
    pia.people.delegate("approver", "paul", until=soon(days=60), reason="on leave again")
    model = ref.partition("/")[0]
    root.move_alias(ref, "draft")
    root.remove_alias(model, "draft", "only a draft")
    root.move_alias(ref, "candidate")
