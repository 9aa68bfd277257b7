"""Settings: read from MAILWEIR_*, refused when they cannot work, shown without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from mailweir.schemas.errors import SettingsError
from mailweir.services.settings import Settings, load_settings, masked


def test_the_environment_is_read_and_options_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command-line option is worth more than a variable, a variable more than the default."""
    monkeypatch.setenv("MAILWEIR_TOPIC_PREFIX", "post")
    monkeypatch.setenv("MAILWEIR_BATCH_MAILS", "7")
    monkeypatch.setenv("MAILWEIR_INGEST_TRUSTED_HOSTS", '["mx.example.com"]')
    monkeypatch.setenv("MAILWEIR_BUNDLE", "bundles/mine")
    settings = load_settings(batch_mails=9)
    assert (settings.topic_prefix, settings.topic_name("raw"), settings.batch_mails) == ("post", "post.raw", 9)
    assert (settings.ingest_trusted_hosts, settings.bundle) == (("mx.example.com",), Path("bundles/mine"))
    assert settings.batch_tokens == Settings.model_fields["batch_tokens"].default


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MAILWEIR_BATCH_MAILS", "0", "MAILWEIR_BATCH_MAILS: "),
        ("MAILWEIR_BATCH_MAILS", "many", "MAILWEIR_BATCH_MAILS: "),
        ("MAILWEIR_REJECT_RATIO_MAX", "1.5", "MAILWEIR_REJECT_RATIO_MAX: "),
        ("MAILWEIR_TOPIC_PREFIX", "a b", "MAILWEIR_TOPIC_PREFIX: "),
        ("MAILWEIR_OTLP_ENDPOINT", "collector:4318", "such as http://127.0.0.1:4318"),
        ("MAILWEIR_INSTANCE", "a b", "letters, digits, _, - and dots"),
        ("MAILWEIR_KAFKA_SECURITY", "TLS", "MAILWEIR_KAFKA_SECURITY: "),
        ("MAILWEIR_INGEST_MAX_BYTES", "26000001", "ingest_max_bytes is above 26000000"),
        ("MAILWEIR_KAFKA_SECURITY", "SASL_SSL", "set MAILWEIR_KAFKA_USERNAME and MAILWEIR_KAFKA_PASSWORD"),
        ("MAILWEIR_INGEST_TRUSTED_HOSTS", "mx.example.com", "MAILWEIR_INGEST_TRUSTED_HOSTS"),
    ],
)
def test_a_value_that_cannot_work_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """The message names the variable and where to read about it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert message in caught.value.message
    assert caught.value.code == "settings"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MAILWEIR_KAFKA_BOOTSTRAPS", "did you mean MAILWEIR_KAFKA_BOOTSTRAP?"),
        ("MAILWEIR_XYZZY", "`mailweir settings` lists every setting"),
    ],
)
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    """It would otherwise do nothing, in silence."""
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match="is no setting") as caught:
        load_settings()
    assert hint in caught.value.message


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file sets what it has no value for to nothing: the default stays."""
    monkeypatch.setenv("MAILWEIR_TOPIC_PREFIX", "")
    monkeypatch.setenv("MAILWEIR_BATCH_MAILS", "")
    assert load_settings() == Settings()


def test_an_unknown_option_is_refused() -> None:
    """Code cannot misspell a setting either."""
    with pytest.raises(SettingsError, match="MAILWEIR_BATCH_MIALS"):
        load_settings(batch_mials=1)


def test_login_needs_user_and_password_only_with_sasl() -> None:
    """TLS alone needs neither; SASL needs both."""
    Settings(kafka_security="SSL")
    Settings(kafka_security="SASL_SSL", kafka_username="ingest", kafka_password=SecretStr("pass-word"))
    with pytest.raises(ValidationError, match="MAILWEIR_KAFKA_PASSWORD"):
        Settings(kafka_security="SASL_PLAINTEXT", kafka_username="ingest")


def test_secrets_are_never_shown() -> None:
    """Not in the printed settings, not in a repr, not in an error's message or detail."""
    settings = Settings(kafka_security="SASL_SSL", kafka_username="ingest", kafka_password=SecretStr("pass-word"))
    assert "pass-word" not in json.dumps(masked(settings)) + repr(settings) + str(settings)
    assert masked(settings)["kafka_password"] == "**********"
    assert masked(settings)["kafka_username"] == "ingest"
    with pytest.raises(SettingsError) as caught:
        load_settings(kafka_security="SASL_SSL", kafka_password="pass-word")
    assert "pass-word" not in caught.value.message + repr(caught.value.detail)


def test_settings_are_frozen() -> None:
    """One object for the life of a process."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().batch_mails = 2  # type: ignore[misc]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_does(name: str) -> None:
    """One or more sentences for `mailweir settings`, and a default."""
    field = Settings.model_fields[name]
    assert field.description is not None
    assert len(field.description) > 10
    assert field.description.strip().endswith((".", "…"))
    assert not field.is_required()
