"""What a mail costs, and how much room is left."""

from __future__ import annotations

from grafana.panels import Board, Panel, Query, Row, ratio

__all__ = ["BOARD"]

# every worker exports this gauge and no other program does: what tells our processes from all that are scraped
_OURS = " and on (job, instance) mailweir_trainer_running{$S}"
_CPU = f"(rate(process_cpu_seconds_total{{$S}}[$__rate_interval]){_OURS})"
_MAILS = 'sum(rate(mailweir_mails_total{$S, stage="ingest"}[$__rate_interval]))'
_WORK = 'sum by (stage) (rate(mailweir_step_seconds_sum{$S, step="handle"}[$__rate_interval]))'

_COST = Row(
    "What a mail costs",
    (
        Panel(
            "Mails by core second",
            "short",
            "Mails that ingest finished by second of processor time of all workers, trainer's process not counted.",
            (Query(ratio(_MAILS, f"sum({_CPU})")),),
            "number",
            height=5,
        ),
        Panel(
            "Processor time of a mail",
            "s",
            "Processor time of all workers by mail of ingest. Idle workers count: at little load it is high.",
            (Query(ratio(f"sum({_CPU})", _MAILS)),),
            "number",
            height=5,
        ),
        Panel(
            "A million mails",
            "currencyUSD",
            "Processor time of a million mails at the price above; disk, network and Kafka are not in it.",
            (Query(f"1e6 * ${{core_hour}} / 3600 * {ratio(f'sum({_CPU})', _MAILS)}"),),
            "number",
            height=5,
        ),
        Panel(
            "A million mails, over time",
            "currencyUSD",
            "The same as a line: what a new model or a longer kind of mail costs.",
            (Query(f"1e6 * ${{core_hour}} / 3600 * {ratio(f'sum({_CPU})', _MAILS)}", "USD"),),
            width=12,
        ),
        Panel(
            "Time in the stages",
            "s",
            "Seconds that a stage works on batches in each second, all workers together.",
            (Query(_WORK, "{{stage}}"),),
            width=12,
        ),
    ),
)

_ROOM = Row(
    "How much room is left",
    (
        Panel(
            "Mails a day at this pace",
            "short",
            "What ingest would finish in a day if it went on as now.",
            (Query(f"86400 * {_MAILS}", "mails a day"),),
        ),
        Panel(
            "Cores used",
            "short",
            "Processor time of each worker by second. At the number of its cores there is no more.",
            (Query(f"sum by (instance) ({_CPU})", "{{instance}}"),),
        ),
        Panel(
            "Busy",
            "percentunit",
            "Share of time that a worker has a batch of a stage in hand. Near one with lag: add workers, to the partitions' number.",
            (
                Query(
                    'sum by (instance, stage) (rate(mailweir_step_seconds_sum{$S, step="handle"}[$__rate_interval]))',
                    "{{stage}} {{instance}}",
                ),
            ),
            red_from=0.8,
        ),
        Panel(
            "Memory",
            "bytes",
            "Resident memory of each worker. One that only climbs is a leak.",
            (Query(f"process_resident_memory_bytes{{$S}}{_OURS}", "{{instance}}"),),
        ),
        Panel(
            "Files open",
            "percentunit",
            "File descriptors of each worker over its limit.",
            (Query(f"process_open_fds{{$S}} / process_max_fds{{$S}}{_OURS}", "{{instance}}"),),
            red_from=0.8,
        ),
        Panel(
            "Disk of the ledger",
            "percentunit",
            "Share that is free on the disk of the ledger. No value where it is an object store.",
            (Query("min(mailweir_ledger_free_bytes{$S} / mailweir_ledger_size_bytes{$S})", "free"),),
        ),
        Panel(
            "Certificates end in",
            "s",
            "Time left of the certificate that ends first: the brokers' authority, and ours where brokers ask for one.",
            (Query("min by (file) (mailweir_certificate_expiry_timestamp_seconds{$S}) - time()", "{{file}}"),),
        ),
        Panel(
            "Event loop late",
            "percentunit",
            "Seconds by which a worker's event loop is late in each second. Near one it does nothing but wait for its turn.",
            (
                Query(
                    "sum by (instance) (rate(mailweir_event_loop_delay_seconds_sum{$S}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            red_from=0.25,
        ),
        Panel(
            "Time in ONNX Runtime",
            "s",
            "Seconds a second that each worker is inside ONNX Runtime, for the champion and beside it for the shadow.",
            (
                Query(
                    "sum by (instance, role) (rate(mailweir_onnxruntime_seconds_sum{$S}[$__rate_interval]))",
                    "{{role}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Time of a mail in ONNX Runtime",
            "s",
            "Mean of a mail. Less than the model's time below: what is left is Python around it.",
            (
                Query(
                    ratio(
                        "sum by (role) (rate(mailweir_onnxruntime_seconds_sum{$S}[$__rate_interval]))",
                        "sum by (role) (rate(mailweir_onnxruntime_seconds_count{$S}[$__rate_interval]))",
                    ),
                    "{{role}}",
                ),
            ),
        ),
        Panel(
            "Model's time of a mail",
            "s",
            "Mean by step of classify: what the processor time of a mail goes into.",
            (
                Query(
                    'sum by (step) (rate(mailweir_step_seconds_sum{$S, stage="classify", step!~"handle|publish"}'
                    "[$__rate_interval])) / (sum by (step) (rate(mailweir_step_seconds_count"
                    '{$S, stage="classify", step!~"handle|publish"}[$__rate_interval])) > 0)',
                    "{{step}}",
                ),
            ),
        ),
    ),
)

BOARD = Board(
    "capacity",
    "Capacity and cost",
    "What a mail costs, and how much room is left.",
    (_COST, _ROOM),
    ("core_hour",),
    "now-24h",
)
