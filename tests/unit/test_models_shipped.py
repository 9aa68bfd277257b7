"""The two bundles that come with the package, as whoever installs it meets them."""

from __future__ import annotations

import pytest

from mailweir.models.runtime import Bundle, decide, find_entities, shipped_bundle
from mailweir.models.text.model_input import compose_fields
from mailweir.schemas.taxonomy import installed_taxonomy


@pytest.fixture(scope="module")
def email() -> Bundle:
    return Bundle.load(shipped_bundle())


@pytest.fixture(scope="module")
def task() -> Bundle:
    return Bundle.load(shipped_bundle("task"))


@pytest.mark.parametrize(
    ("title", "description", "label"),
    [
        (
            "Fix crash when the export is empty",
            "Stack trace attached. Add a unit test and deploy to staging.",
            "Development",
        ),
        ("Ödeme servisindeki hatayı düzelt", "Kart reddedilince uygulama çöküyor, test ekle.", "Development"),
        (
            "New layout for the landing page",
            "Colours, spacing and icons as in the style guide; mock-up in Figma.",
            "Design",
        ),
        (
            "Compare three vendors for e-signatures",
            "Find out prices and limits, evaluate, write down which fits.",
            "Research",
        ),
        ("Kick-off call with the supplier, Tuesday 10:00", "Room 3 or Teams, invite Ayşe and Tom.", "Meeting"),
        ("Bütçe ve takvim: 2026 ikinci çeyrek", "Kapsam, tarihler ve öncelik sırasını belirle.", "Planning"),
    ],
)
def test_tasks_are_told_apart(task: Bundle, title: str, description: str, label: str) -> None:
    """A plain task of every kind gets its label, in English and Turkish."""
    (scores,) = task.classify([compose_fields(title, "", "", description, ())])
    verdict = decide(scores, task.manifest, "en")
    assert verdict.heads["category"].label == label


@pytest.mark.parametrize("name", ["email", "task"])
def test_a_bundle_asks_what_its_taxonomy_asks(name: str) -> None:
    """Heads and labels of the bundle are those of the taxonomy that it names."""
    manifest = Bundle.load(shipped_bundle(name)).manifest
    taxonomy = installed_taxonomy(manifest.taxonomy.name, manifest.taxonomy.version)
    assert {head: spec.labels for head, spec in manifest.heads.items()} == {
        head: taxonomy.labels(head) for head in taxonomy.heads
    }


def test_both_together_stay_small() -> None:
    """Below 60 MB on disk."""
    folders = [shipped_bundle(name) for name in ("email", "task")]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 60_000_000


@pytest.mark.parametrize(
    ("subject", "body", "wanted"),
    [
        (
            "Order 4500771203",
            "Hello,\nplease book 12 pcs of NVX-4810-48P at EUR 120.00 each, PO 4500771203.\nWe need them by Friday 5pm.\nAnn",
            {
                ("po_number", "4500771203"),
                ("product_sku", "NVX-4810-48P"),
                ("quantity", "12"),
                ("amount", "EUR 120.00"),
            },
        ),
        (
            "Fatura INV-20311 hakkında",
            "Merhaba, INV-20311 numaralı faturadaki 1.250,00 TL tutarı hatalı. 14.03.2026'ya kadar düzeltir misiniz?",
            {("invoice_number", "INV-20311"), ("amount", "1.250,00 TL"), ("deadline", "14.03.2026")},
        ),
    ],
)
def test_entities_are_found_where_they_stand(
    email: Bundle, subject: str, body: str, wanted: set[tuple[str, str]]
) -> None:
    """Codes, quantities, amounts and deadlines, each with the place in its field that its text is at."""
    (scores,) = email.classify([compose_fields(subject, "ann@customer.example", "sales", body, ())])
    found = find_entities(subject, body, email.manifest.entity_precision, scores.tagged)
    assert wanted <= {(entity.type, entity.text) for entity in found}
    fields = {"subject": subject, "body": body}
    assert all(fields[entity.field][entity.start : entity.end] == entity.text for entity in found)
