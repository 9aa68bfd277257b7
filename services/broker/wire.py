"""Two Kafka requests over a plain socket: enough to know that a broker answers and whom it sees.

A client library is too much for a probe that runs thirty times a second while a JVM starts, and it would log every refusal.
"""

import socket
import ssl
import struct
from dataclasses import dataclass

_API_METADATA = 3
_API_VERSIONS = 18
_HEADER = struct.Struct(">hhih")  # api key, api version, correlation id, length of the client id
_CLIENT_ID = b"mailweir-probe"


class ProbeError(OSError):
    """The broker closed the connection, or answered with an error."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one broker says of its cluster."""

    controller: int  # node id of the active controller, -1 while there is none
    brokers: dict[int, tuple[str, int]]  # node id → host and port of every registered broker


def probe_versions(host: str, port: int, *, tls: ssl.SSLContext | None = None, timeout_s: float = 2.0) -> None:
    """Ask ApiVersions (v0), which a broker answers before any login; raise OSError where it does not."""
    answer = _exchange(host, port, _message(_API_VERSIONS, 0), tls, timeout_s)
    (code,) = struct.unpack_from(">h", answer)
    if code:
        raise ProbeError(f"ApiVersions answered with error {code}")


def probe_metadata(host: str, port: int, *, timeout_s: float = 2.0) -> Seen:
    """Ask Metadata (v1) of no topic on a listener without login; raise OSError where nobody answers."""
    answer = _exchange(host, port, _message(_API_METADATA, 1, struct.pack(">i", 0)), None, timeout_s)
    try:
        return _parse_metadata(answer)
    except (struct.error, UnicodeDecodeError) as error:
        raise ProbeError(f"Metadata answer of {len(answer)} bytes is not understood") from error


def _parse_metadata(answer: bytes) -> Seen:
    (count,) = struct.unpack_from(">i", answer)
    at, brokers = 4, {}
    for _ in range(count):
        (node,) = struct.unpack_from(">i", answer, at)
        host, at = _string(answer, at + 4)
        (port,) = struct.unpack_from(">i", answer, at)
        _rack, at = _string(answer, at + 4)
        brokers[node] = (host, port)
    (controller,) = struct.unpack_from(">i", answer, at)
    return Seen(controller, brokers)


def _string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    end = at + 2 + max(length, 0)  # -1 stands for null
    return data[at + 2 : end].decode(), end


def _message(api: int, version: int, body: bytes = b"") -> bytes:
    """Return a request with a version 1 header, and its length before it."""
    message = _HEADER.pack(api, version, 1, len(_CLIENT_ID)) + _CLIENT_ID + body
    return struct.pack(">i", len(message)) + message


def _exchange(host: str, port: int, message: bytes, tls: ssl.SSLContext | None, timeout_s: float) -> bytes:
    """Send one request on a connection of its own; return the answer behind its correlation id."""
    with (
        socket.create_connection((host, port), timeout_s) as raw,
        tls.wrap_socket(raw, server_hostname=host) if tls else raw as channel,
    ):
        channel.sendall(message)
        (size,) = struct.unpack(">i", _exactly(channel, 4))
        return _exactly(channel, size)[4:]


def _exactly(channel: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = channel.recv(size - len(received))
        if not chunk:
            raise ProbeError("the broker closed the connection")
        received += chunk
    return bytes(received)
