"""Which panel belongs to which alert: the page of `deploy/runbooks` that its link opens."""

from __future__ import annotations

__all__ = ["RUNBOOKS"]

RUNBOOKS: dict[str, str] = {
    "overview: Workers seen": "MailweirWorkerDown",
    "overview: Rejected": "MailweirDeadLetterRatio",
    "overview: Lag by stage": "MailweirLagGrows",
    "overview: Records finished": "MailweirNoProgress",
    "stream: Lag in seconds": "MailweirLagGrows",
    "stream: Lag in records": "MailweirNoProgress",
    "stream: Broker silent for": "MailweirBrokerSilent",
    "overview: Broker silent for": "MailweirBrokerSilent",
    "stream: Tries repeated": "MailweirFeedbackFails",
    "overview: Latency budget, fast": "MailweirLatencyBudgetBurnsFast",
    "overview: Latency budget, slow": "MailweirLatencyBudgetBurnsSlowly",
    "overview: Loss budget, fast": "MailweirLossBudgetBurnsFast",
    "overview: Loss budget, slow": "MailweirLossBudgetBurnsSlowly",
    "stream: Offsets that are missing": "MailweirLossBudgetBurnsFast",
    "model: Swaps": "MailweirSwapFailed",
    "model: Calibration is off by": "MailweirCalibrationOff",
    "model: Failures of the shadow": "MailweirShadowLoadFailed",
    "loop: Open and running": "MailweirTrainerStuck",
    "loop: Disagreement with the champion on trial": "MailweirDisagreementAfterPromotion",
    "loop: Champions demoted within the day": "MailweirRollbackHappened",
    "capacity: Disk of the ledger": "MailweirLedgerDiskFull",
    "capacity: Certificates end in": "MailweirCertificateExpires",
    "capacity: Event loop late": "MailweirEventLoopBlocked",
    "dead-letters: Share by stage": "MailweirDeadLetterRatio",
}
"""`dashboard: title of the panel` → the page's name without its suffix."""
