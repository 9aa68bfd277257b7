"""Values of labels that others choose: model versions, mailboxes, rules. Each has a limit, and so has the number of series."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

__all__ = ["MOST_RULES", "MOST_VERSIONS", "OTHER", "Labels"]

MOST_VERSIONS = 8
"""Of more model versions the one that was met longest ago loses its series: whoever serves for months meets hundreds."""
MOST_RULES = 100
OTHER = "other"
"""What has no label of its own."""


class Labels:
    """The label of each value; values beyond the limit are `other`."""

    def __init__(self, mailboxes: Iterable[str], forget: Callable[[str], None]) -> None:
        """`mailboxes` have labels of their own; `forget` removes what was counted about a version."""
        self._mailboxes = frozenset(mailboxes)
        self._forget = forget
        self._rules: set[str] = set()
        self._versions: OrderedDict[str, None] = OrderedDict()

    def version(self, version: str) -> str:
        """Of a model version that is counted now."""
        self._versions[version] = None
        self._versions.move_to_end(version)
        if len(self._versions) > MOST_VERSIONS:
            self._forget(self._versions.popitem(last=False)[0])
        return version

    def mailbox(self, name: str) -> str:
        """Of a mailbox: producers make new ones at will, so only those that the operator named."""
        return name if name in self._mailboxes else OTHER

    def rule(self, name: str) -> str:
        """Of a tenant's rule: the first that were met."""
        if len(self._rules) < MOST_RULES:
            self._rules.add(name)
        return name if name in self._rules else OTHER
