"""Models: what turns a mail into decisions, and how that was learned."""

import os

# onnxruntime reports its use to its maker over the network unless it is told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
