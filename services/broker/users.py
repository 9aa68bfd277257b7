"""The users of a secure cluster: one for every party of the topics table, and one that may do nothing."""

import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MECHANISM = "SCRAM-SHA-512"
ADMIN = "admin"  # super user, and the name under which brokers speak with each other
_AGENTS = ("ingest", "classify", "feedback", "retrain", "review", "trainer")
USERS = (ADMIN, *_AGENTS, "operator", "client", "sender", "watcher", "reviewer", "intruder")
_ITERATIONS = 4096  # Kafka's least; the passwords are random, so more would only slow every login


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs to connect."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cafile: Path | None = None

    def options(self) -> dict[str, Any]:
        """Return it as keyword arguments of aiokafka's clients."""
        if self.security_protocol == "PLAINTEXT":
            return {"bootstrap_servers": self.bootstrap}
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            "ssl_context": ssl.create_default_context(cafile=str(self.cafile)),
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


def load_or_create(file: Path) -> dict[str, str]:
    """Return user → password from the file; make it, with random passwords and for its owner only, where it is not there."""
    if not file.exists():
        draft = file.with_suffix(".tmp")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({user: secrets.token_urlsafe(24) for user in USERS}, indent=2) + "\n")
        draft.rename(file)
    passwords: dict[str, str] = json.loads(file.read_text())
    return passwords


def scram_arguments(passwords: Mapping[str, str]) -> list[str]:
    """Return the arguments that make Kafka's storage tool create the users in a new cluster."""
    return [
        part
        for user, password in passwords.items()
        for part in ("--add-scram", f"{MECHANISM}=[name={user},password={password},iterations={_ITERATIONS}]")
    ]
