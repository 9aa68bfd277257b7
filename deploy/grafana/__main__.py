"""Write every dashboard into `deploy/grafana/dashboards`, which Grafana's provisioning reads."""

from __future__ import annotations

from grafana.boards import BOARDS
from grafana.build import FOLDER, encode

for board in BOARDS:
    (FOLDER / f"{board.name}.json").write_text(encode(board), encoding="utf-8")
