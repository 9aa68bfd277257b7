"""The trainer: what was asked for on `mail.retrain` → a candidate, the gate, a new champion or the reasons why not; and who starts it."""
