"""Small clients for tests of the broker itself, which know nothing of mail."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from mailweir.services.broker import Access
from mailweir.services.broker.config import LARGEST_BATCH


async def create(access: Access, topic: str, copies: int = 1, **configs: str) -> None:
    admin = AIOKafkaAdminClient(**access.options())
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, 1, copies, topic_configs=configs)])
        assert [code for _topic, code, *_ in answer.topic_errors] == [0], answer
    finally:
        await admin.close()


async def send(access: Access, topic: str, value: bytes, compression: str | None = None) -> int:
    producer = AIOKafkaProducer(
        **access.options(), acks="all", max_request_size=LARGEST_BATCH, compression_type=compression
    )
    try:
        await producer.start()
        return int((await producer.send_and_wait(topic, value, partition=0)).offset)
    finally:
        await producer.stop()


async def first(access: Access, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(**access.options(), auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        return bytes((await consumer.getone()).value)
    finally:
        await consumer.stop()


async def leader(access: Access, topic: str) -> int:
    """The node that leads the topic's only partition."""
    admin = AIOKafkaAdminClient(**access.options())
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        return int(described["partitions"][0]["leader"])
    finally:
        await admin.close()


async def visible_topics(access: Access) -> list[str]:
    admin = AIOKafkaAdminClient(**access.options())
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def log_in(access: Access) -> None:
    client = AIOKafkaAdminClient(**access.options(), request_timeout_ms=2_000)
    try:
        await client.start()
    finally:
        await client.close()
