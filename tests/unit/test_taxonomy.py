"""Taxonomies are data: each label with its meaning, unknown ones refused, a tenant's own installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailweir.schemas.errors import SettingsError, UnknownLabel, UnknownTaxonomy
from mailweir.schemas.taxonomy import (
    Taxonomy,
    install_taxonomy,
    installed_taxonomies,
    installed_taxonomy,
    read_taxonomy,
)

OWN = """
name = "orchard"
version = 3
[heads.kind]
kind = "one"
meaning = "Which fruit it is about."
[heads.kind.labels]
apple = "A pome."
plum = "A stone fruit."
[entities]
crate = "A crate's number."
"""


def test_the_email_taxonomy_has_its_heads_and_label_counts() -> None:
    """The label space that bundles, feedback and consumers share; a change here is a new version."""
    email = installed_taxonomy("email", 1)
    assert {name: (head.kind, len(head.labels)) for name, head in email.heads.items()} == {
        "category": ("one", 10),
        "intent": ("one", 12),
        "action": ("one", 5),
        "priority": ("one", 4),
        "workflow_state": ("one", 4),
        "next_actions": ("many", 13),
    }
    assert len(email.entities) == 14
    assert email.labels("priority") == ("urgent", "high", "normal", "low")


def test_the_task_taxonomy_has_its_categories() -> None:
    """Tasks have one head."""
    assert installed_taxonomy("task", 1).labels("category") == (
        "Development",
        "Design",
        "Research",
        "Meeting",
        "Planning",
    )


@pytest.mark.parametrize("taxonomy", installed_taxonomies(), ids=lambda taxonomy: taxonomy.name)
def test_every_label_says_what_it_means_in_one_line(taxonomy: Taxonomy) -> None:
    """One sentence, one line, ending in a full stop: it is shown to people."""
    meanings = [head.meaning for head in taxonomy.heads.values()] + [*taxonomy.entities.values()]
    meanings += [text for head in taxonomy.heads.values() for text in head.labels.values()]
    assert [text for text in meanings if "\n" in text or not text.endswith(".") or len(text) < 3] == []


def test_unknown_heads_labels_and_entities_are_refused_with_what_there_is() -> None:
    """The message lists what could have been meant."""
    email = installed_taxonomy("email", 1)
    email.check_label("priority", "high")
    email.check_entity("po_number")
    with pytest.raises(UnknownLabel, match="it has urgent, high, normal, low"):
        email.check_label("priority", "High")
    with pytest.raises(UnknownLabel, match="it has category, intent"):
        email.labels("mood")
    with pytest.raises(UnknownLabel, match="no entity type 'shoe_size'"):
        email.check_entity("shoe_size")


def test_a_tenants_own_taxonomy_is_read_and_installed(tmp_path: Path) -> None:
    """It is known by name and version from then on, and no other version of it is."""
    file = tmp_path / "orchard.toml"
    file.write_text(OWN)
    own = read_taxonomy(file)
    with pytest.raises(UnknownTaxonomy, match="orchard 3 is not installed here"):
        installed_taxonomy("orchard", 3)
    install_taxonomy(own)
    try:
        assert installed_taxonomy("orchard", 3).labels("kind") == ("apple", "plum")
        assert [taxonomy.name for taxonomy in installed_taxonomies()] == ["email", "orchard", "task"]
        with pytest.raises(UnknownTaxonomy, match="orchard 4"):
            installed_taxonomy("orchard", 4)
    finally:
        from mailweir.schemas import taxonomy

        del taxonomy._installed["orchard", 3]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("[heads.kind]", "[heads"), "is no taxonomy"),
        (("version = 3", "version = 0"), "version"),
        (('kind = "one"', 'kind = "some"'), "kind"),
        (('plum = "A stone fruit."', ""), "labels"),
        (("[entities]", "[colours]"), "colours"),
    ],
)
def test_a_file_that_is_no_taxonomy_is_refused_with_the_reason(
    tmp_path: Path, change: tuple[str, str], problem: str
) -> None:
    """Not TOML, no version, an unknown kind, a head of one label, an unknown table: the message names file and fault."""
    file = tmp_path / "orchard.toml"
    file.write_text(OWN.replace(*change))
    with pytest.raises(SettingsError, match=problem) as caught:
        read_taxonomy(file)
    assert str(file) in caught.value.message


def test_a_missing_or_unreadable_file_is_a_wrong_setting(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(SettingsError, match=r"nothing\.toml is no taxonomy"):
        read_taxonomy(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(SettingsError, match=r"latin\.toml is no taxonomy"):
        read_taxonomy(tmp_path / "latin.toml")
