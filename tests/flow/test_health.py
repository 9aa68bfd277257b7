"""What a worker tells about itself over HTTP is true."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Sequence
from urllib.error import HTTPError, URLError

import pytest
from factories import add_stage, hosted, memory_bus, parsed, raw, running, settings, until
from prometheus_client.parser import text_string_to_metric_families

from mailweir.schemas.errors import MalformedJson, RecordError, SettingsError
from mailweir.schemas.events import Event
from mailweir.services.app import Host, Part
from mailweir.services.stream import Record


async def _get(host: Host, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_fetch, host.health.url.replace("/metrics", path))


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def _handle(records: Sequence[Record]) -> list[Event | RecordError]:
    bad = MalformedJson("no")
    return [bad if b"order 3." in record.value else parsed(record) for record in records]


async def test_the_metrics_equal_the_counts_of_the_topics() -> None:
    """Published, rejected by code, batch sizes and lag agree with what lies on the bus."""
    bus = memory_bus()
    for number in range(40):
        bus.write(raw(number))
    async with running(bus, _handle) as host:
        await until(lambda: len(bus.records("mail.parsed")) + len(bus.records("mail.dead")) == 40)
        await until(lambda: host.stream.readers[0].progress.behind == 0)
        _, text = await _get(host, "/metrics")
    samples = {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["mailweir_mails_total", frozenset(["ingest", "published"])] == len(bus.records("mail.parsed")) == 39
    assert samples["mailweir_mails_total", frozenset(["ingest", "rejected"])] == len(bus.records("mail.dead")) == 1
    assert samples["mailweir_rejects_total", frozenset(["ingest", "malformed_json"])] == 1
    assert (
        samples["mailweir_rejects_total", frozenset(["ingest", "not_a_mail"])] == 0
    )  # the first of a kind is an increase
    assert samples["mailweir_batch_mails_sum", frozenset(["ingest"])] == 40
    assert samples["mailweir_assigned_partitions", frozenset(["ingest"])] == 3
    assert {samples["mailweir_lag_records", frozenset(["ingest", "mail.raw", str(n)])] for n in range(3)} == {0}
    assert {samples["mailweir_lag_seconds", frozenset(["ingest", "mail.raw", str(n)])] for n in range(3)} == {0}


async def test_live_and_ready_answer_with_their_reason() -> None:
    """200 while mail moves; 503 naming the stage when there is work and nothing moves."""
    bus = memory_bus(1)
    bus.write(raw(1))
    entered = asyncio.Event()

    async def hang(records: Sequence[Record]) -> list[Event | RecordError]:
        entered.set()
        await asyncio.sleep(60)
        return []

    async with running(bus, hang, stall_seconds=0.3, rebalance_wait_ms=10) as host:
        await entered.wait()
        assert (await _get(host, "/ready"))[0] == 200
        assert (await _get(host, "/live"))[0] == 200
        await asyncio.sleep(0.4)
        status, body = await _get(host, "/live")
    assert status == 503
    assert json.loads(body) == {"ok": False, "stalled": ["ingest"], "broker_silent": []}


async def test_a_silent_broker_makes_an_idle_worker_not_alive() -> None:
    """How much mail waits it cannot know; after a while it says that it hears nothing, and then that it hears again."""
    bus = memory_bus(1)
    bus.patience_s = 0.1
    async with running(bus, _handle, stall_seconds=0.5) as host:
        assert (await _get(host, "/live"))[0] == 200
        bus.away = True
        await until(lambda: host.health.unheard() == ["ingest"])
        assert json.loads((await _get(host, "/live"))[1]) == {"ok": False, "stalled": [], "broker_silent": ["ingest"]}
        away = {"stage": "ingest"}
        await until(
            lambda: (host.metrics.registry.get_sample_value("mailweir_broker_contact_seconds", away) or 0) > 0.5
        )
        bus.away = False
        await until(lambda: not host.health.unheard())
        assert (await _get(host, "/live"))[0] == 200


async def test_workers_without_options_do_not_collide() -> None:
    """The second takes the next free port."""
    bus = memory_bus(2)
    port = settings().metrics_port or 19_464
    async with (
        running(bus, _handle, metrics_port=port) as one,
        running(bus, _handle, metrics_port=port) as two,
    ):
        assert one.health.port != two.health.port
        assert (await _get(two, "/ready"))[0] == 200


async def test_a_part_that_is_not_warm_keeps_the_worker_unready() -> None:
    """Partitions alone are not enough: no mail can be handled without the model."""

    class Model(Part):
        warm = False

        @property
        def ready(self) -> bool:
            return self.warm

    model = Model()
    host = Host(settings(), memory_bus())
    host.parts.append(model)
    add_stage(host, _handle)
    async with hosted(host):
        await until(lambda: host.stream.readers[0].progress.assigned)
        cold = (await _get(host, "/ready"))[0]
        model.warm = True
        warm = (await _get(host, "/ready"))[0]
    assert (cold, warm) == (503, 200)


async def test_a_partition_that_went_elsewhere_takes_its_lag_with_it() -> None:
    """Two workers would report it otherwise, one of them for ever."""
    bus = memory_bus(2)
    for number in range(10):
        bus.write(raw(number))
    names = ("mailweir_lag_records", "mailweir_lag_seconds")
    async with running(bus, _handle) as one:

        def gauges(partition: int) -> list[bool]:
            labels = {"stage": "ingest", "topic": "mail.raw", "partition": str(partition)}
            return [one.metrics.registry.get_sample_value(name, labels) is not None for name in names]

        await until(lambda: gauges(0) == gauges(1) == [True, True])
        async with running(bus, _handle):
            await until(lambda: one.stream.readers[0].progress.partitions == 1)
            await until(lambda: gauges(0) == [True, True])
            assert gauges(1) == [False, False]


async def test_a_loop_that_is_held_up_is_seen() -> None:
    """A third of a second in which nothing else could run is late by about that; an idle loop is hardly late."""
    async with running(memory_bus(), _handle) as host:

        def late(what: str) -> float:
            return host.metrics.registry.get_sample_value(f"mailweir_event_loop_delay_seconds_{what}") or 0

        await until(lambda: late("count") >= 3)
        before = late("sum")
        time.sleep(0.35)  # noqa: ASYNC251 - it is what is measured
        await asyncio.sleep(0.05)
        assert late("sum") - before >= 0.2


async def test_health_is_served_on_the_address_of_the_settings_and_no_other() -> None:
    """The URL that a worker prints has it; nothing listens on the usual one."""
    async with running(memory_bus(), _handle, metrics_host="127.0.0.2") as host:
        assert host.health.url.startswith("http://127.0.0.2:")
        assert (await _get(host, "/metrics"))[0] == 200
        with pytest.raises(URLError, match="Connection refused"):
            await asyncio.to_thread(_fetch, host.health.url.replace("127.0.0.2", "127.0.0.1"))


async def test_served_on_every_address_the_url_is_one_that_can_be_opened() -> None:
    """0.0.0.0, as in a container, is no address to go to."""
    async with running(memory_bus(), _handle, metrics_host="0.0.0.0") as host:
        assert host.health.url.startswith("http://127.0.0.1:")
        for address in ("127.0.0.1", "127.0.0.2"):
            status, _ = await asyncio.to_thread(_fetch, host.health.url.replace("127.0.0.1", address))
            assert status == 200


async def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    """The worker does not start, and the variable is named."""
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1:0: .*MAILWEIR_METRICS_HOST"):
        async with running(memory_bus(), _handle, metrics_host="192.0.2.1"):
            pass


async def test_other_mail_makes_no_new_series() -> None:
    """From mailboxes and people that were never seen: the same series, higher counts."""
    bus = memory_bus()
    seen: list[set[tuple[str, frozenset[str]]]] = []
    async with running(bus, _handle) as host:
        for round_ in range(2):
            for number in range(30):
                bus.write(raw(3 if number == 0 else 1_000 * round_ + number + 10, mailbox=f"box{round_}{number}"))
            came = 30 * (round_ + 1)
            await until(lambda came=came: len(bus.records("mail.parsed")) + len(bus.records("mail.dead")) == came)  # type: ignore[misc]
            await until(lambda: host.stream.readers[0].progress.behind == 0)
            samples = [sample for family in host.metrics.registry.collect() for sample in family.samples]
            seen.append({(sample.name, frozenset(sample.labels.values())) for sample in samples})
    assert seen[0] == seen[1]
    assert ("mailweir_mail_age_seconds_count", frozenset(["ingest"])) in seen[0]
