"""A user of a secure cluster, as settings and as the environment of a process."""

from __future__ import annotations

from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings, load_settings

__all__ = ["environment_of", "settings_of"]


def _values(cluster: KafkaCluster, user: str) -> dict[str, str]:
    access = cluster.access(user)
    return {
        "kafka_bootstrap": access.bootstrap,
        "kafka_security": access.security_protocol,
        "kafka_sasl_mechanism": str(access.mechanism),
        "kafka_username": user,
        "kafka_password": str(access.password),
        "kafka_ca_file": str(access.cafile),
        "request_timeout_ms": "15000",
    }


def settings_of(cluster: KafkaCluster, user: str) -> Settings:
    """Settings as a user of any Kafka would make them."""
    return load_settings(**_values(cluster, user))


def environment_of(cluster: KafkaCluster, user: str) -> dict[str, str]:
    """The same as variables."""
    return {f"MAILWEIR_{name.upper()}": value for name, value in _values(cluster, user).items()}
