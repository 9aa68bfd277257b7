"""Models: what turns a mail into decisions, and how that was learned."""

import os

# These report their use to their makers over the network unless they are told not to before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
