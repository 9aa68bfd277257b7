"""A connection that fails leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailweir.schemas.errors import BrokerUnreachable
from mailweir.services.settings import Settings, load_settings
from mailweir.services.stream.connection import admin_client


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that signs itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(private)
    return paths


@contextmanager
def _slow_to_part(folder: Path) -> Iterator[tuple[str, Path]]:
    """A server over TLS that answers with something that is no Kafka, and closes a tenth of a second later."""
    certificate, key = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        raw, _ = listener.accept()
        with raw, context.wrap_socket(raw, server_side=True) as client:
            client.recv(4)
            client.sendall(b"\0\0\0\x08" + b"nonsense")
            time.sleep(0.1)

    server = threading.Thread(target=answer, daemon=True)
    with listener:
        server.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", certificate
        server.join(10)


def test_a_refused_connection_over_tls_is_closed_when_the_error_is_told(tmp_path: Path) -> None:
    """Also where the broker takes its time to close its end: nothing is left for the garbage collector to complain about."""

    async def refused(settings: Settings) -> None:
        with pytest.raises(BrokerUnreachable, match="no usable answer"):
            async with admin_client(settings):
                pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # what other tests left is not told of this one
    with _slow_to_part(tmp_path) as (address, certificate), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(refused(load_settings(kafka_bootstrap=address, kafka_security="SSL", kafka_ca_file=certificate)))
        gc.collect()
    assert [str(one.message) for one in caught if "unclosed" in str(one.message)] == []
