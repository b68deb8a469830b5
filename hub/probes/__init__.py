"""Looking at instances and dependencies."""

from hub.probes.kafka import kafka_brokers
from hub.probes.outcome import Outcome, Prober
from hub.probes.postgres import postgres_url
from hub.probes.probes import Probes, unsupported
from hub.probes.redis import redis_url

__all__ = ["Outcome", "Prober", "Probes", "kafka_brokers", "postgres_url", "redis_url", "unsupported"]
