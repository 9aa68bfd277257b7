"""The trainer job: what was asked for on `mail.retrain` → a candidate, the gate, a new champion or the reasons why not."""
