"""`licences`: whether a dataset, and all that it was made from, may be used."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import Field, field_validator

from registry.domain.evidence import EvidenceStatus
from registry.domain.names import did_you_mean
from registry.extension import CheckPlugin, Evidence, OriginInput, PluginConfig, RunContext
from registry.extension.options import Words
from registry.plugins.check.spdx import KNOWN, PERMISSIVE, PUBLIC_DOMAIN, choices, spdx_name


class LicencesConfig(PluginConfig):
    """Which licences a company takes."""

    allowed: Words = Field(
        (*PUBLIC_DOMAIN, *PERMISSIVE),
        min_length=1,
        description="SPDX names, comma-separated, and contracts of one's own as LicenseRef-NAME; "
        "default: public domain and permissive ones",
    )

    @field_validator("allowed")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not spdx_name(name):
                near = did_you_mean(name, KNOWN)
                raise ValueError(
                    f"{name!r} is no licence of the SPDX list"
                    + (f", {near}" if near.startswith("did") else "")
                    + "; a contract of your own is written LicenseRef-NAME"
                )
        return tuple(spdx_name(name) for name in value)


class Licences(CheckPlugin[LicencesConfig]):
    """Look at the licence of a dataset and of everything that it was made from.

    A licence is an SPDX name, a choice (`MIT OR Apache-2.0`) or a sum (`MIT AND CC-BY-4.0`) of them.
    """

    name = "licences"
    subject = "dataset"
    evidence = "check.license"

    def run(self, ctx: RunContext, config: LicencesConfig) -> Evidence:
        """Sort every dataset version of the lineage: allowed, disallowed, unlicensed or unknown.

        What it says is what was written at registration: it reads no contract.
        """
        lineage = ctx.dataset.lineage
        sorted_ = [(origin, _judge(origin.licence, config.allowed)) for origin in lineage]
        counts = {
            name: sum(verdict == name for _, verdict in sorted_)
            for name in ("allowed", "disallowed", "unlicensed", "unknown")
        }
        problems = [_problem(origin, verdict) for origin, verdict in sorted_ if verdict != "allowed"]
        named = sorted({origin.licence for origin in lineage if origin.licence})
        return Evidence(
            status=EvidenceStatus.COMPLETE if lineage else EvidenceStatus.INSUFFICIENT,
            reason="" if lineage else "the run was not told where the data comes from",
            metrics={
                "datasets": float(len(lineage)),
                **{name: float(number) for name, number in counts.items()},
                "sourceless": float(sum(not origin.source for origin in lineage)),
            },
            facts={
                "licence": lineage[0].licence if lineage else "",
                "licences": ", ".join(named) or "none",
                "allowed": ", ".join(config.allowed),
                "problems": "; ".join(problems) or "none",
            },
            summary="; ".join(problems) or f"{', '.join(named)}: allowed, {len(lineage)} dataset versions",
            tables={
                "lineage": [
                    {
                        "data": origin.ref,
                        "licence": origin.licence,
                        "source": origin.source,
                        "verdict": verdict,
                    }
                    for origin, verdict in sorted_
                ]
            },
        )


def _judge(licence: str, allowed: Collection[str]) -> str:
    if not licence.strip():
        return "unlicensed"
    offered = choices(licence)
    if offered is None:
        return "unknown"
    return "allowed" if any(set(part) <= set(allowed) for part in offered) else "disallowed"


def _problem(origin: OriginInput, verdict: str) -> str:
    match verdict:
        case "unlicensed":
            return f"{origin.ref} names no licence"
        case "unknown":
            near = did_you_mean(origin.licence, KNOWN)
            hint = f" ({near})" if near.startswith("did") else ""
            return f"{origin.ref} names {origin.licence!r}, which is no SPDX name{hint}"
        case _:
            return f"{origin.ref} is under {origin.licence}, which is not allowed"
