"""Every error that Phasegate raises on purpose.

RegistryError
├── BadInput                    exit 2   the request cannot be understood or carried out as asked
│   ├── BadName                          a name with characters that a reference cannot hold
│   ├── BadReference                     not `name/3`
│   ├── BadTarget                        not `metric>=number`
│   ├── BadTable                         a data file that is no table
│   ├── BadDocument                      a policy or lifecycle file, with line and column
│   ├── BadConfig                        a plugin's configuration
│   ├── NotFound                         nothing of that name
│   ├── AlreadyExists                    the name is taken
│   ├── NoSuchStage                      the lifecycle has no such stage
│   ├── NoSuchTransition                 the lifecycle has no such step
│   ├── WrongStage                       this work is not done at the version's stage
│   ├── MissingExtra                     an optional package is not installed
│   └── DatabaseUnusable                 missing, locked, read-only, outdated, newer or half migrated
├── Conflict                    exit 1   somebody else changed it first
├── DoesNotFit                  exit 1   a design takes more memory than the device has
├── NotPermitted                exit 1   the actor has not the role for it, or may not judge their own work
├── RunFailed                   exit 3   a plugin's run did not succeed
├── Cancelled                   exit 3   a run was cancelled
├── Preempted                   exit 3   a run's machine asked it to end; it saved its work first
├── IntegrityViolated           exit 4   bytes, rows or ledger disagree
└── Defect                      exit 70  a fault of ours

A refusal by a gate is not an error: it is a `Decision`, returned and recorded.
"""

from __future__ import annotations


class RegistryError(Exception):
    """Base of all deliberate errors.

    Attributes:
        code: Stable identifier for machines.
        exit_code: What the command line exits with.
        http_status: What a server answers with.
        hint: The next command or change that helps, if one is known.
    """

    code = "error"
    exit_code = 70
    http_status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(RegistryError):
    code = "bad-input"
    exit_code = 2
    http_status = 400


class BadName(BadInput):
    code = "bad-name"


class BadReference(BadInput):
    code = "bad-reference"


class BadTarget(BadInput):
    code = "bad-target"


class BadTable(BadInput):
    code = "bad-table"


class BadDocument(BadInput):
    """A policy or lifecycle file that cannot be used; says where.

    Attributes:
        file: Name of the file.
        line: 1-based line, 0 if the whole file is meant.
        column: 1-based column, 0 if the whole line is meant.
    """

    code = "bad-document"

    def __init__(
        self, message: str, *, file: str = "", line: int = 0, column: int = 0, hint: str = ""
    ) -> None:
        place = ":".join([file or "<text>", *(str(n) for n in (line, column) if n)])
        super().__init__(f"{place}: {message}", hint=hint)
        self.reason = message
        self.file = file
        self.line = line
        self.column = column


class BadConfig(BadInput):
    code = "bad-config"


class NotFound(BadInput):
    code = "not-found"
    http_status = 404


class AlreadyExists(BadInput):
    code = "already-exists"
    http_status = 409


class NoSuchStage(BadInput):
    code = "no-such-stage"


class NoSuchTransition(BadInput):
    code = "no-such-transition"
    http_status = 409


class WrongStage(BadInput):
    code = "wrong-stage"
    http_status = 409


class MissingExtra(BadInput):
    code = "missing-extra"


class DatabaseUnusable(BadInput):
    code = "database-unusable"
    http_status = 503


class Conflict(RegistryError):
    code = "conflict"
    exit_code = 1
    http_status = 409


class DoesNotFit(RegistryError):
    """A check that said no: what was asked for can be understood, and cannot be run there."""

    code = "does-not-fit"
    exit_code = 1
    http_status = 422


class NotPermitted(RegistryError):
    code = "not-permitted"
    exit_code = 1
    http_status = 403


class RunFailed(RegistryError):
    code = "run-failed"
    exit_code = 3


class Cancelled(RegistryError):
    code = "cancelled"
    exit_code = 3


class Preempted(RegistryError):
    code = "preempted"
    exit_code = 3


class IntegrityViolated(RegistryError):
    code = "integrity-violated"
    exit_code = 4


class Defect(RegistryError):
    code = "defect"
