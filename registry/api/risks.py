"""`registry.risks`: the risk register. `registry.tiers`: how risky a system is as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from registry.api.opened import Opened

if TYPE_CHECKING:
    from registry.domain.tiers import Questionnaire
    from registry.usecases.look_exceptions import RiskView
    from registry.usecases.tiers import AssessmentView


class RisksApi:
    """What could go wrong with systems."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def add(
        self,
        system: str,
        *,
        category: str,
        title: str,
        likelihood: int,
        severity: int,
        residual: str,
        controls: str,
        owner: str,
        review_by: datetime,
        description: str = "",
        reason: str = "",
    ) -> RiskView:
        """Enter one; `residual` is likelihood and severity with the controls in place, like `2x3`."""
        from registry.domain.risks import Score
        from registry.usecases.risks import add_risk

        with self._opened.write() as work:
            row = add_risk(
                work,
                system,
                category=category,
                title=title,
                likelihood=likelihood,
                severity=severity,
                residual=Score.parse(residual),
                controls=controls,
                owner=owner,
                review_by=review_by,
                description=description,
                reason=reason,
            )
        return self.one(row.id)

    def change(
        self,
        number: int,
        *,
        residual: str | None = None,
        **more: Any,
    ) -> RiskView:
        """Judge one anew; `more` as `usecases.risks.RiskJudgement` has it. It is open again."""
        from registry.domain.risks import Score
        from registry.usecases.risks import RiskJudgement, change_risk

        remaining = Score.parse(residual) if residual is not None else None
        judgement = RiskJudgement(residual=remaining, **more)
        with self._opened.write() as work:
            change_risk(work, number, judgement)
        return self.one(number)

    def accept(self, number: int, reason: str) -> RiskView:
        """Accept what remains of one, as it is judged now."""
        from registry.usecases.risks import accept_risk

        with self._opened.write() as work:
            accept_risk(work, number, reason)
        return self.one(number)

    def close(self, number: int, reason: str) -> RiskView:
        """Say that one is none any more."""
        from registry.usecases.risks import close_risk

        with self._opened.write() as work:
            close_risk(work, number, reason)
        return self.one(number)

    def all(self, *, system: str = "", only_open: bool = False) -> list[RiskView]:
        """All of them, or those of a system; `only_open` leaves out the accepted and the closed."""
        from registry.usecases.look_exceptions import risks

        with self._opened.read() as session:
            return risks(session, system=system, only_open=only_open)

    def one(self, number: int) -> RiskView:
        """The one of a number."""
        from registry.usecases.look_exceptions import risks

        with self._opened.read() as session:
            return risks(session, number=number)[0]


class TiersApi:
    """Systems' risk tiers, computed from a questionnaire."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def questionnaire(self) -> Questionnaire:
        """What is asked."""
        from registry.usecases.tiers import questionnaire

        return questionnaire()

    def assess(
        self, system: str, answers: Mapping[str, str], *, tier: str = "", reason: str = ""
    ) -> AssessmentView:
        """Compute a system's tier, or ask for another than that for a reason."""
        from registry.usecases.tiers import assess

        with self._opened.write() as work:
            row = assess(work, system, answers, tier=tier, reason=reason)
        return self.one(row.id)

    def approve(self, number: int, reason: str = "") -> AssessmentView:
        """Say yes to the tier that an assessment asks for."""
        from registry.usecases.tiers import decide_tier

        with self._opened.write() as work:
            decide_tier(work, number, approve=True, reason=reason)
        return self.one(number)

    def reject(self, number: int, reason: str) -> AssessmentView:
        """Say no to it, or take one's own back."""
        from registry.usecases.tiers import decide_tier

        with self._opened.write() as work:
            decide_tier(work, number, approve=False, reason=reason)
        return self.one(number)

    def all(self, system: str = "") -> list[AssessmentView]:
        """All assessments, or those of a system; oldest first."""
        from registry.usecases.tiers import assessments

        with self._opened.read() as session:
            return assessments(session, system)

    def one(self, number: int) -> AssessmentView:
        """The assessment of a number."""
        from registry.usecases.tiers import assessment

        with self._opened.read() as session:
            return assessment(session, number)
