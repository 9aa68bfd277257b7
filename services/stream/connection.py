"""How to reach the brokers: bootstrap, TLS and login, for every client that we make."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from mailweir.schemas.errors import AccessRefused, BrokerUnreachable, DependencyError, SettingsError
from mailweir.services.settings import Settings

__all__ = ["admin_client", "client_id", "client_options", "close", "failure", "unreachable"]

# A topic that comes back, or gets more partitions, is noticed after this; the clients' own five minutes are a long silence.
_METADATA_MAX_AGE_MS = 30_000

_CLOSE_SECONDS = 5.0
_GOODBYE_SECONDS = 0.5
_REFUSED = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, SaslAuthenticationFailed)


def client_id(settings: Settings, part: str = "") -> str:
    """What a client of ours calls itself towards brokers and collectors."""
    return "-".join(filter(None, ("mailweir", part, settings.instance or str(os.getpid()))))


def client_options(settings: Settings, part: str = "") -> dict[str, Any]:
    """Keyword arguments that all aiokafka clients take; `part` tells the broker's logs which of ours it is.

    Raises:
        SettingsError: a certificate file cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "client_id": client_id(settings, part),
        "security_protocol": settings.kafka_security,
        "request_timeout_ms": settings.request_timeout_ms,
        "metadata_max_age_ms": _METADATA_MAX_AGE_MS,
    }
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.kafka_security.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return options


def failure(step: str, error: Exception) -> DependencyError | AccessRefused:
    """What a client error means for the stream."""
    name = type(error).__name__
    if isinstance(error, _REFUSED):
        return AccessRefused(f"Kafka refused to {step}: {name} {error}. Check the user's ACLs and MAILWEIR_INSTANCE.")
    return DependencyError(f"cannot {step}: {name} {error}")


async def close(stop: Coroutine[Any, Any, None]) -> None:
    """Let a client stop; one that cannot say goodbye to its broker is left after five seconds.

    A consumer is interrupted by its own requests that it has just cancelled, which would look as if we were.
    """
    closing = asyncio.create_task(stop)
    await asyncio.wait([closing], timeout=_CLOSE_SECONDS)
    if closing.cancel():
        await asyncio.wait([closing], timeout=1)
    with suppress(KafkaError, asyncio.CancelledError, asyncio.InvalidStateError):
        closing.result()


def unreachable(settings: Settings, error: BaseException, said: str = "") -> BrokerUnreachable:
    """The error for a broker that does not answer or refuses us; `said` is what the client logged about it."""
    where, cause = settings.kafka_bootstrap, f"{said} {error}"
    if "Authentication" in cause:
        advice = f"refuses the login of {settings.kafka_username!r}: check MAILWEIR_KAFKA_USERNAME, _PASSWORD and _SASL_MECHANISM"
    elif "SSL" in said.upper().replace("SASL_SSL", ""):
        advice = f"does not agree on TLS ({_first(said)}): check MAILWEIR_KAFKA_CA_FILE and MAILWEIR_KAFKA_SECURITY"
    elif "onnect call failed" in cause or "refused" in cause or (isinstance(error, TimeoutError) and not said):
        advice = "does not answer: start one with `mailweir kafka up`, or set MAILWEIR_KAFKA_BOOTSTRAP"
    else:
        reason = _first(said) or type(error).__name__
        advice = f"gives no usable answer ({reason}): check MAILWEIR_KAFKA_BOOTSTRAP and MAILWEIR_KAFKA_SECURITY"
    return BrokerUnreachable(f"Kafka at {where} over {settings.kafka_security} {advice}.", bootstrap=where)


def _first(said: str) -> str:
    return said.splitlines()[0] if said else ""


class _Overheard(logging.Handler):
    """What aiokafka logs while it connects: its exception says only that it could not."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def overhearing() -> Iterator[list[str]]:
    """Collect the client's own words on why a connection fails."""
    handler, client = _Overheard(), logging.getLogger("aiokafka")
    before = client.level, client.propagate
    client.addHandler(handler)
    client.setLevel(logging.WARNING)
    client.propagate = False  # our own error tells it, in one line
    try:
        yield handler.lines
    finally:
        client.removeHandler(handler)
        client.level, client.propagate = before


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client.

    Raises:
        BrokerUnreachable: nothing answers, or the login is refused.
    """
    client = AIOKafkaAdminClient(**client_options(settings))
    with overhearing() as said:
        try:
            # an address that swallows packets would hold us for minutes
            await asyncio.wait_for(client.start(), settings.request_timeout_ms / 1_000)
        except (KafkaConnectionError, KafkaError, TimeoutError, OSError) as error:
            await client.close()
            # A closed socket goes with the loop's next round; over TLS only when the broker has closed as well, which it does
            # right behind the refusal, but a busy one takes its time.
            await asyncio.sleep(_GOODBYE_SECONDS if settings.kafka_security.endswith("SSL") else 0)
            raise unreachable(settings, error, "\n".join(said)) from error
    try:
        yield client
    finally:
        await client.close()


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file:
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file)
    except (OSError, ssl.SSLError) as error:
        files = "MAILWEIR_KAFKA_CA_FILE, MAILWEIR_KAFKA_CERT_FILE or MAILWEIR_KAFKA_KEY_FILE"
        raise SettingsError(f"{files} cannot be read: {error}") from error
    return context
