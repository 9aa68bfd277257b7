"""All settings of mailweir, in one frozen object read from `MAILWEIR_*`; nothing else reads the environment."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import SettingsConfigDict
from pydantic_settings import SettingsError as NotJson

from mailweir.schemas.errors import SettingsError
from mailweir.schemas.topics import MAX_MAIL_BYTES
from mailweir.services.settings.loop import LoopSettings

__all__ = ["Settings", "load_settings", "masked"]


class Settings(LoopSettings):
    """Effective settings; `mailweir settings` prints them with secrets masked."""

    model_config = SettingsConfigDict(env_prefix="MAILWEIR_", env_ignore_empty=True, frozen=True, extra="forbid")

    metrics_host: str = Field("127.0.0.1", description="Address of /metrics, /live and /ready; 0.0.0.0 in a container.")
    metrics_port: int = Field(
        9464,
        ge=0,
        le=65535,
        description="Port of /metrics, /live and /ready. If it is taken, the next free one of a hundred.",
    )
    metrics_mailboxes: tuple[str, ...] = Field(
        (),
        max_length=50,
        description="Mailboxes whose decisions are counted by name, as a JSON list; all others are `other`. Each is some more series "
        "for Prometheus, which then knows its name.",
    )
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s@?#]+)?$",
        description="Base URL of an OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318; empty: no spans. "
        "All workers should have the same.",
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""), description="Headers that the collector asks for, as name=value,name=value."
    )
    otlp_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the mails whose spans are sent; a mail that brings a traceparent is recorded as that says. A "
        "billion mails a day are two billion spans at 1, and two million at 0.001, which shows what is common and misses what is rare.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged.")
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for reading along.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kafka_security.startswith("SASL") and not (
            self.kafka_username and self.kafka_password.get_secret_value()
        ):
            raise ValueError(
                f"kafka_security is {self.kafka_security}: set MAILWEIR_KAFKA_USERNAME and MAILWEIR_KAFKA_PASSWORD"
            )
        if self.review_random_share + self.review_diverse_share > 1:
            raise ValueError(
                "review_random_share and review_diverse_share are shares of one budget: together at most 1"
            )
        if self.ingest_max_bytes > MAX_MAIL_BYTES:
            raise ValueError(f"ingest_max_bytes is above {MAX_MAIL_BYTES}, the largest mail that mail.raw takes")
        return self

    def topic_name(self, name: str) -> str:
        """Full name of a topic of the table: `raw` → `mail.raw`."""
        return f"{self.topic_prefix}.{name}"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, then `overrides` (command-line options).

    Raises:
        SettingsError: a value cannot work, or a MAILWEIR_ variable names no setting.
    """
    _refuse_unknown()
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except NotJson as error:
        names = ", ".join(f"MAILWEIR_{name.upper()}" for name in Settings.model_fields if f'"{name}"' in str(error))
        raise SettingsError(f'{names} is no JSON; a list is written as ["one", "two"]') from error
    except ValidationError as error:
        problems = "; ".join(
            _problem(item["loc"], item["type"], item["msg"]) for item in error.errors(include_input=False)
        )
        raise SettingsError(f"{problems}. `mailweir settings` lists every setting.") from error


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(step) for step in place)
    if kind == "string_pattern_mismatch":  # a pattern alone says nothing to who never wrote one
        message = f"{message} ({str(Settings.model_fields[name].description).partition('. ')[0].rstrip('.')})"
    return f"MAILWEIR_{name.upper()}: {message}" if name else message.removeprefix("Value error, ")


def _refuse_unknown() -> None:
    """A misspelt variable would be ignored in silence: refuse it and name the nearest."""
    import difflib

    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(key for key in os.environ if key.startswith("MAILWEIR_")):
        name = variable.removeprefix("MAILWEIR_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean MAILWEIR_{near[0]}?" if near else "`mailweir settings` lists every setting"
            raise SettingsError(f"{variable} is no setting; {hint}", name=variable)


def masked(settings: Settings) -> dict[str, object]:
    """Every setting with its value; secrets as stars."""
    return settings.model_dump(mode="json")
