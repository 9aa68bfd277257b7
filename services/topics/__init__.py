"""The topics table on a cluster: create what is missing, check, list, require, and who may read and write."""

from mailweir.services.topics.access import acl_bindings, acl_commands, grant
from mailweir.services.topics.commands import TopicRow, apply, check, list_topics, require
from mailweir.services.topics.compare import Difference, Found, NewTopic, differences, plan

__all__ = [
    "Difference",
    "Found",
    "NewTopic",
    "TopicRow",
    "acl_bindings",
    "acl_commands",
    "apply",
    "check",
    "differences",
    "grant",
    "list_topics",
    "plan",
    "require",
]
