"""The trainer: a run that was asked for → a candidate that the gate judged, and the agent that starts it as a process."""
