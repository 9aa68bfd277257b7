"""Loopback ports for brokers: drawn where the kernel does not draw its own, or asked for by number."""

import random
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 30_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LAST = 65_535


def draw(count: int, avoid: Collection[int] = ()) -> list[int]:
    """Return `count` different free ports below the range from which the kernel takes ports of outgoing connections.

    A port inside that range could be taken by a client between the draw and the broker's start, and again at every restart.
    """
    with ExitStack() as held:
        return [held.enter_context(_any_port(avoid)) for _ in range(count)]


def taken(ports: Sequence[int]) -> list[int]:
    """Return those of the ports on which somebody listens."""
    return [port for port in ports if not _is_free(port)]


def _is_free(port: int) -> bool:
    try:
        with _bound(port):
            return True
    except OSError:
        return False


@contextmanager
def _any_port(avoid: Collection[int]) -> Iterator[int]:
    with _free_socket(avoid) as holder:
        yield int(holder.getsockname()[1])


def _free_socket(avoid: Collection[int]) -> socket.socket:
    highest = _highest()
    while True:
        port = random.randrange(_LOWEST, highest)  # noqa: S311 (no secret)
        with suppress(OSError):
            if port not in avoid:
                return _bound(port)


def _bound(port: int) -> socket.socket:
    holder = socket.socket()
    try:
        # As Java does: a port whose last connections are still in TIME_WAIT is free.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, port))
    except OSError:
        holder.close()
        raise
    return holder


def _highest() -> int:
    with suppress(OSError, ValueError):
        first_ephemeral = int(_EPHEMERAL.read_text().split()[0])
        if _LOWEST < first_ephemeral < _HIGHEST:
            return first_ephemeral
    return _HIGHEST
