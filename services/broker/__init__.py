"""A real Apache Kafka for development and tests: started, guarded and stopped from Python."""

from mailweir.services.broker.acl import AclBinding, create_acls, send_acls
from mailweir.services.broker.archive import build_archive
from mailweir.services.broker.cluster import KafkaCluster
from mailweir.services.broker.serve import serve
from mailweir.services.broker.users import Access

__all__ = ["Access", "AclBinding", "KafkaCluster", "build_archive", "create_acls", "send_acls", "serve"]
