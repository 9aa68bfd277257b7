"""Write the rules for Kubernetes."""

from __future__ import annotations

from prometheus.kubernetes import FILE, encode

FILE.write_text(encode(), encoding="utf-8")
