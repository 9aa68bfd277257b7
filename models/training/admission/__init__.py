"""Which feedback may be learned from, and which may not, each with its reason."""

from mailweir.models.training.admission.admit import Admission, admit
from mailweir.models.training.admission.hold import Lesson, hold_back
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.admission.mails import AdmittedRow
from mailweir.models.training.admission.report import AdmissionReport

__all__ = ["Admission", "AdmissionLimits", "AdmissionReport", "AdmittedRow", "Lesson", "admit", "hold_back"]
