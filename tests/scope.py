"""What the email bundle was not made for, by kind: `python tests/scope.py` tells what share of each goes to a person.

Beside them ordinary mail of the validation authors, whom the bundle's thresholds were chosen on.
"""

from __future__ import annotations

import base64
import random
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mailweir.models.runtime import Bundle, Verdict, decide, shipped_bundle
from mailweir.models.text.language import detect
from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.zone import split_zones
from mailweir.models.training.corpus import VALIDATION_AUTHORS, load_mails

SAMPLES = Path(__file__).parent / "samples" / "scope.toml"
MADE = 12  # of each kind that is made from a seed

Mail = tuple[str, str]  # subject, body


def foreign() -> dict[str, list[Mail]]:
    """Everything out of scope, by kind."""
    written = {kind: [(s, b) for s, b in rows] for kind, rows in tomllib.loads(SAMPLES.read_text("utf-8")).items()}
    rng = random.Random(11)
    return written | {
        "bytes": [("", rng.randbytes(rng.randrange(60, 900)).decode("latin-1")) for _ in range(MADE)],
        "bytes_utf8": [("", rng.randbytes(rng.randrange(60, 900)).decode("utf-8", "replace")) for _ in range(MADE)],
        "base64": [("", base64.encodebytes(rng.randbytes(rng.randrange(90, 900))).decode()) for _ in range(MADE)],
        "hexadecimal": [("", rng.randbytes(rng.randrange(60, 400)).hex(" ", 4)) for _ in range(MADE)],
    }


def ordinary() -> list[Mail]:
    """Mail of the validation authors in the languages that the bundle knows."""
    return [(r.subject, r.body) for r in load_mails() if r.author in VALIDATION_AUTHORS and r.language != "other"]


def verdicts(bundle: Bundle, mails: Sequence[Mail]) -> list[Verdict]:
    """What serving would say of each mail, language included."""
    inputs = [compose_fields(s, "sender@example.org", "sales", b, split_zones(b)) for s, b in mails]
    languages = [detect(f"{s}\n{b}").code for s, b in mails]
    scores = bundle.classify(inputs)
    return [decide(one, bundle.manifest, code) for one, code in zip(scores, languages, strict=True)]


def causes(found: Sequence[Verdict]) -> Mapping[str, int]:
    """How many for each cause, `-` for those that nobody needs to look at."""
    counts: dict[str, int] = {}
    for verdict in found:
        cause = verdict.review_cause or "-"
        counts[cause] = counts.get(cause, 0) + 1
    return dict(sorted(counts.items()))


def main() -> None:
    """One line for each kind."""
    bundle = Bundle.load(shipped_bundle())
    for kind, mails in {"ordinary": ordinary(), **foreign()}.items():
        found = verdicts(bundle, mails)
        looked = sum(verdict.needs_review for verdict in found)
        said = ", ".join(f"{cause} {count}" for cause, count in causes(found).items())
        print(f"{kind:<16} {len(mails):4} mails  reviewed {looked / len(mails):4.0%}  {said}")


if __name__ == "__main__":
    main()
