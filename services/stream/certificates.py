"""When the certificates end that our connections to the brokers rest on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from mailweir.schemas.errors import SettingsError
from mailweir.services.settings import Settings

__all__ = ["certificate_ends"]


def certificate_ends(settings: Settings) -> Mapping[str, datetime]:
    """By file, `ca` and `cert`, when the certificate in it that ends first ends; none without TLS, or where the system's are used.

    Read once: a process goes on with what it has read, so a renewed file counts from its next start on.

    Raises:
        SettingsError: a file cannot be read, or holds no certificate.
    """
    files = {"ca": settings.kafka_ca_file, "cert": settings.kafka_cert_file}
    if not settings.kafka_security.endswith("SSL"):
        return {}
    return {role: _end(role, path) for role, path in files.items() if path is not None}


def _end(role: str, path: Path) -> datetime:
    try:
        return min(one.not_valid_after_utc for one in load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        name = f"MAILWEIR_KAFKA_{role.upper()}_FILE"
        raise SettingsError(f"{name}: {path} holds no certificate in PEM that can be read: {error}") from error
