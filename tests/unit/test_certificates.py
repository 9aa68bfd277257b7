"""When the certificates of the settings end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import ending_in
from factories import memory_bus, settings

from mailweir.schemas.errors import SettingsError
from mailweir.services.app import Host
from mailweir.services.stream import certificate_ends


def _days(**changes: Any) -> dict[str, int]:
    """Left, of each file."""
    now = datetime.now(UTC)
    ends = certificate_ends(settings(**{"kafka_security": "SSL"} | changes))
    return {role: round((end - now) / timedelta(days=1)) for role, end in ends.items()}


def test_of_several_certificates_the_one_that_ends_first_counts(tmp_path: Path) -> None:
    """An authority's file may hold the old one beside the new one."""
    (tmp_path / "ca.pem").write_bytes(ending_in(300) + ending_in(2) + ending_in(30))
    (tmp_path / "cert.pem").write_bytes(ending_in(90))
    both = {"kafka_ca_file": tmp_path / "ca.pem", "kafka_cert_file": tmp_path / "cert.pem"}
    assert _days(**both) == {"ca": 2, "cert": 90}


def test_without_tls_or_a_file_of_ours_there_is_none(tmp_path: Path) -> None:
    """The system's authorities are the system's business."""
    (tmp_path / "ca.pem").write_bytes(ending_in(2))
    assert _days(kafka_security="PLAINTEXT", kafka_ca_file=tmp_path / "ca.pem") == {}
    assert _days() == {}


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_a_certificate_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, or something else: with the setting that names it."""
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(SettingsError, match=r"MAILWEIR_KAFKA_CA_FILE: .*ca\.pem"):
        _days(kafka_ca_file=tmp_path / "ca.pem")


async def test_a_worker_tells_when(tmp_path: Path) -> None:
    """As Prometheus reads it: seconds since 1970."""
    (tmp_path / "ca.pem").write_bytes(ending_in(2))
    host = Host(settings(kafka_security="SSL", kafka_ca_file=tmp_path / "ca.pem"), memory_bus())
    told = host.metrics.registry.get_sample_value("mailweir_certificate_expiry_timestamp_seconds", {"file": "ca"})
    left = datetime.fromtimestamp(told or 0, UTC) - datetime.now(UTC)
    assert timedelta(days=1.9) < left <= timedelta(days=2)
