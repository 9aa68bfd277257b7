"""The dashboards as a page of their own, for people without Grafana: Grafana's JSON in `boards`, the numbers from Prometheus."""

from mailweir.services.dashboard.board import BOARDS, Board, read_boards
from mailweir.services.dashboard.library import Library, find_library
from mailweir.services.dashboard.prometheus import Prometheus, address
from mailweir.services.dashboard.server import Page

__all__ = ["BOARDS", "Board", "Library", "Page", "Prometheus", "address", "find_library", "read_boards"]
