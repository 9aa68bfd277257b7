"""The dashboards, in the order in which one would open them at three in the morning."""

from grafana.boards import capacity, dead_letters, loop, model, overview, stream

__all__ = ["BOARDS"]

BOARDS = (overview.BOARD, stream.BOARD, model.BOARD, loop.BOARD, dead_letters.BOARD, capacity.BOARD)
