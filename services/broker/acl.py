"""Who may do what on a secure cluster, created through the Kafka protocol (aiokafka's admin client has no call for it)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import CreateAclsRequest_v1

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker.users import Access

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ResourceType = Literal["topic", "group", "cluster", "transactional_id"]
Pattern = Literal["literal", "prefixed"]
Operation = Literal[
    "all",
    "read",
    "write",
    "create",
    "delete",
    "alter",
    "describe",
    "describe_configs",
    "alter_configs",
    "idempotent_write",
]

# Kafka's own numbers, from its Java enumerations ResourceType, PatternType, AclOperation and AclPermissionType.
_RESOURCE_TYPES: Mapping[ResourceType, int] = {"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
_PATTERNS: Mapping[Pattern, int] = {"literal": 3, "prefixed": 4}
_OPERATIONS: Mapping[Operation, int] = {
    "all": 2,
    "read": 3,
    "write": 4,
    "create": 5,
    "delete": 6,
    "alter": 7,
    "describe": 8,
    "describe_configs": 10,
    "alter_configs": 11,
    "idempotent_write": 12,
}
_ALLOW = 3
_ANY_HOST = "*"
_RETRY_S = 0.1
# aiokafka does not wait for TLS connections to be closed; a loop that ends before leaves sockets open with a ResourceWarning.
_FAREWELL_S = 0.1


@dataclass(frozen=True, slots=True)
class AclBinding:
    """One permission: this user may do this operation on this resource, from any host."""

    principal: str  # user name, such as "ingest"
    resource_type: ResourceType
    resource: str  # name or, with the pattern "prefixed", its beginning; "kafka-cluster" for a cluster
    pattern: Pattern
    operation: Operation  # read and write include describe

    def encode(self) -> tuple[int, str, int, str, str, int, int]:
        """Return the fields of one creation in a CreateAcls request (version 1)."""
        return (
            _RESOURCE_TYPES[self.resource_type],
            self.resource,
            _PATTERNS[self.pattern],
            f"User:{self.principal}",
            _ANY_HOST,
            _OPERATIONS[self.operation],
            _ALLOW,
        )


async def create_acls(access: Access, bindings: Sequence[AclBinding]) -> None:
    """Create the bindings as the given (super) user; one that exists already stays as it is."""
    async with _connected(access) as client:
        await send_acls(client, bindings)


async def send_acls(client: AIOKafkaClient, bindings: Sequence[AclBinding]) -> None:
    """`create_acls` through a client that is connected.

    Raises:
        KafkaSetupError: the cluster refuses one.
    """
    answer = await client.send(client.get_random_node(), _CreateAcls(bindings))
    for binding, (code, message) in zip(bindings, answer.creation_responses, strict=True):
        if code:
            raise KafkaSetupError(f"Kafka refused {binding}: {message} (error {code})", binding=binding)


async def await_brokers(access: Access, nodes: Collection[int], timeout_s: float) -> None:
    """Wait until the user can log in and the cluster names all of these nodes."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not await _registered(access) >= set(nodes):
        if asyncio.get_running_loop().time() > deadline:
            raise KafkaSetupError(f"nodes {sorted(nodes)} did not join the cluster in {timeout_s:.0f} s")
        await asyncio.sleep(_RETRY_S)


class _CreateAcls:
    """All bindings in one request; aiokafka's own request class carries a single one."""

    def __init__(self, bindings: Sequence[AclBinding]) -> None:
        self._creations = [binding.encode() for binding in bindings]

    def prepare(self, _versions: Mapping[int, tuple[int, int]]) -> Any:
        return CreateAclsRequest_v1(self._creations)


async def _registered(access: Access) -> set[int]:
    try:
        async with _connected(access) as client:
            return {broker.nodeId for broker in client.cluster.brokers()}
    except KafkaError:
        return set()  # not ready yet: the caller tries again until its own deadline


@asynccontextmanager
async def _connected(access: Access) -> "AsyncIterator[AIOKafkaClient]":
    client = AIOKafkaClient(**access.options(), client_id="mailweir-broker")
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()
        if access.cafile is not None:
            await asyncio.sleep(_FAREWELL_S)
