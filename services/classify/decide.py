"""`Decider`: a bundle that turns parsed mail into decisions, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mailweir.models.runtime import POLICY_VERSION, Bundle, Scores, decide, entity_precision_of
from mailweir.models.text import compose, find_entities
from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Coordinates, Decision, Email, utc_now
from mailweir.schemas.ids import decision_id
from mailweir.schemas.manifest import Manifest
from mailweir.services.app import Part
from mailweir.services.classify.rules import Rulebook, check_rules, covers, read_rules, ruled, ruled_alone
from mailweir.services.classify.source import BundleSource, Served
from mailweir.services.classify.thread import Thread
from mailweir.services.telemetry import Metrics, logger

__all__ = ["Decided", "Decider", "Mail", "decide_all", "decision_of", "id_under"]

log = logger(__name__)

# of a mail; the last three only where there is what does them
_STEPS = ("tokenize", "model", "entities", "sentences", "rules", "linear")


Mail = tuple[Email, Coordinates | None]
"""A parsed mail and where it lies."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision and what is counted about it."""

    decision: Decision
    scores: Scores
    rules: frozenset[str]  # names of those that set a head


class Decider(Part):
    """Loads bundle and rules at start, decides batches in a thread of its own; `serve` changes the bundle between two batches."""

    def __init__(
        self, source: BundleSource, metrics: Metrics, *, reasons: bool = False, rules: Path | None = None
    ) -> None:
        super().__init__()
        self._source = source
        self._metrics = metrics
        self._reasons = reasons
        self._rules_file = rules
        self._rules = Rulebook()
        self._served: Served | None = None
        self._previous: Served | None = None  # a rollback finds it warm
        self.idle = asyncio.Event()  # set while no mail is decided
        self.idle.set()
        self._in_hand = 0  # batches
        # one thread: two batches at a time would only fight for the same cores
        self._thread = Thread("model")

    async def on_start(self) -> None:
        """Load, verify and warm up: the champion of the registry, where there is one.

        Raises:
            BundleError: the bundle is missing or changed.
            RegistryError: the registry cannot be read.
            SettingsError: the rules cannot be used.
        """
        started = time.perf_counter()
        served = await self._thread.do(self._first)
        if self._rules_file is not None:
            self._rules = read_rules(self._rules_file, served.bundle.manifest)
            log.info("rules_loaded", rules=len(self._rules.rules), digest=self._rules.digest)
        self.serve(served)
        model, threads = self.manifest.model, self._source.threads
        seconds = round(time.perf_counter() - started, 2)
        log.info("bundle_loaded", model=model.name, version=model.version, seconds=seconds, threads=threads)

    def _first(self) -> Served:
        champion, registry = self._source.champion(), self._source.registry
        if registry and champion is None:
            hint = "serving the bundle below until then: mailweir models add, then mailweir models promote"
            log.error("no_champion", registry=str(registry.root), bundle=str(self._source.folder), hint=hint)
        return self._source.load(champion)

    async def on_stop(self) -> None:
        """Let the thread go."""
        self._thread.leave()

    @property
    def ready(self) -> bool:
        """True once the bundle is warm."""
        return self._served is not None

    @property
    def rules(self) -> Rulebook:
        """Of the tenant; they hold for every bundle."""
        return self._rules

    @property
    def bundle(self) -> Bundle:
        """That is served."""
        return self._loaded().bundle

    @property
    def serves(self) -> str:
        """Manifest hash of the bundle that is served."""
        return self._loaded().sha256

    def kept(self, sha256: str) -> Served | None:
        """The bundle that was served before, if it is the one with this manifest hash."""
        return self._previous if self._previous and self._previous.sha256 == sha256 else None

    def forget_previous(self) -> None:
        """Make room for another one."""
        self._previous = None

    def check(self, served: Served) -> None:
        """Raise `SettingsError` if the rules set what this bundle does not answer."""
        if self._rules_file is not None:
            check_rules(self._rules_file, self._rules.rules, served.bundle.manifest)

    def serve(self, served: Served) -> None:
        """Decide the next batch with this bundle; the batch in hand ends with the one that it began with.

        Raises:
            SettingsError: the rules set what this bundle does not answer; nothing was changed.
        """
        self.check(served)
        self._previous, self._served = self._served, served
        model = served.bundle.manifest.model
        self._metrics.bundle.labels(model.name, model.version).set(1)
        if self._previous and (old := self._previous.bundle.manifest.model) != model:
            self._metrics.bundle.remove(old.name, old.version)

    @property
    def longest(self) -> int:
        """Tokens of the longest input; a mail above costs no more, it is cut."""
        return self.manifest.input.max_tokens

    @property
    def manifest(self) -> Manifest:
        """Of the bundle that is served."""
        return self.bundle.manifest

    async def decide(
        self, emails: Sequence[Email | RecordError], sources: Sequence[Coordinates | None] | None = None
    ) -> list[Decision | RecordError]:
        """One decision per mail, in order; an error keeps its place. `sources` say where the parsed mails lie."""
        places = sources or [None] * len(emails)
        parsed = [
            (email, place) for email, place in zip(emails, places, strict=True) if not isinstance(email, RecordError)
        ]
        decided = iter(await self._busy(parsed) if parsed else [])
        return [email if isinstance(email, RecordError) else self._account(email, next(decided)) for email in emails]

    async def _busy(self, mails: Sequence[Mail]) -> list[Decided]:
        self._in_hand += 1
        self.idle.clear()
        try:
            return await self._thread.do(self._decide, mails)
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self.idle.set()

    def _decide(self, mails: Sequence[Mail]) -> list[Decided]:
        """Runs in the model's thread: entities of a long mail take their time as well. One bundle for the whole batch."""
        return decide_all(self.bundle, self._rules, mails, reasons=self._reasons)

    def _account(self, email: Email, decided: Decided) -> Decision:
        metrics, decision = self._metrics, decided.decision
        version, tier = metrics.label.version(decision.model.version), decision.tier
        review = str(decision.needs_review).lower()
        metrics.decisions.labels(version, tier, review).inc()
        metrics.mailbox_decisions.labels(metrics.label.mailbox(email.mailbox), review).inc()
        for step in (step for step in _STEPS if step in decision.timings_ms):
            metrics.seconds.labels("classify", step).observe(decision.timings_ms[step] / 1_000)
        for name, head in decision.heads.items():
            metrics.labels.labels(name, head.label, version, tier).inc()
            metrics.confidence.labels(name, version, tier).observe(head.probability)
            metrics.abstentions.labels(name, version, tier).inc(head.abstained)
        for rule in decided.rules:
            metrics.rules.labels(metrics.label.rule(rule)).inc()
        if tier != "rules":
            self._account_model(decided.scores, version)
        return decision

    def _account_model(self, scores: Scores, version: str) -> None:
        self._metrics.tokens.labels("classify").observe(scores.tokens)
        if scores.runtime_ms:  # none where a tier before the encoder was sure enough
            self._metrics.onnxruntime.labels("champion").observe(scores.runtime_ms / 1_000)
        if scores.steps:
            self._metrics.refine_steps.labels(version).observe(scores.steps)

    def _loaded(self) -> Served:
        if self._served is None:
            raise RuntimeError("the decider was used before it was started")
        return self._served


def decide_all(bundle: Bundle, rules: Rulebook, mails: Sequence[Mail], *, reasons: bool = False) -> list[Decided]:
    """What rules and bundle say of these mails, one or more, in order. Blocking."""
    started, manifest = time.perf_counter(), bundle.manifest
    said = [rules.settings(email) for email, _ in mails]
    rules_ms = (time.perf_counter() - started) * 1_000 / len(mails)
    asked = [compose(email) for (email, _), set_ in zip(mails, said, strict=True) if not covers(set_, manifest)]
    answers = iter(bundle.classify(asked, reasons=reasons))
    now, decided = utc_now(), []
    for (email, source), settings in zip(mails, said, strict=True):
        alone = covers(settings, manifest)
        scores = ruled_alone(settings, manifest) if alone else ruled(next(answers), settings, manifest)
        decision = decision_of(email, scores, manifest, source, now, rules.digest)
        if rules.rules:
            decision = decision.model_copy(update={"timings_ms": {**decision.timings_ms, "rules": round(rules_ms, 3)}})
        decided.append(Decided(decision, scores, frozenset(one.rule for one in settings.values())))
    return decided


def decision_of(
    email: Email, scores: Scores, manifest: Manifest, source: Coordinates | None, at: datetime, rules: str = ""
) -> Decision:
    """The decision that follows from a mail and its scores; `rules` is the digest of the rules that were tried. Pure."""
    verdict = decide(scores, manifest, email.language.code)
    taxonomy, model = manifest.taxonomy, manifest.model
    started = time.perf_counter()
    entities = find_entities(email.subject, email.body, entity_precision_of(scores, manifest), scores.tagged)
    entities_ms = (time.perf_counter() - started) * 1_000
    return Decision(
        decision_id=id_under(email.email_id, manifest, rules),
        email_id=email.email_id,
        input_id=email.input_id,
        source=source,
        model=model,
        taxonomy=taxonomy,
        tier=scores.tier,
        heads=verdict.heads,
        next_actions=verdict.next_actions,
        entities=entities,
        summary=verdict.summary,
        action_items=verdict.action_items,
        reasons=dict(scores.reasons),
        language=email.language.code,
        needs_review=verdict.needs_review,
        review_cause=verdict.review_cause,
        truncated=scores.truncated or email.truncated,
        decided_at=at,
        timings_ms={
            "parse": round(email.parse_ms, 3),
            "tokenize": round(scores.tokenize_ms, 3),
            "model": round(scores.model_ms, 3),
            "entities": round(entities_ms, 3),
        }
        | ({"linear": round(scores.cheap_ms, 3)} if scores.cheap_ms else {})
        | ({"sentences": round(scores.sentences_ms, 3)} if manifest.sentences else {}),
    )


def id_under(email_id: str, manifest: Manifest, rules: str) -> str:
    """Id of what this bundle decides about a mail; `rules` is the digest of the rules that are tried, empty without any."""
    taxonomy, model = manifest.taxonomy, manifest.model
    return decision_id(
        email_id,
        f"{model.name}:{model.version}",
        f"{taxonomy.name}:{taxonomy.version}",
        f"{POLICY_VERSION}:{rules}" if rules else str(POLICY_VERSION),
    )
