"""Write every dashboard into `services/dashboard/boards`, from where Grafana and `mailweir dashboard` read it."""

from __future__ import annotations

from grafana.boards import BOARDS
from grafana.build import FOLDER, encode

for board in BOARDS:
    (FOLDER / f"{board.name}.json").write_text(encode(board), encoding="utf-8")
