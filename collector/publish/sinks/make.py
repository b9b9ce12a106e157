"""From a sink's configuration to the sink."""

from collector.publish.sinks.config import FileEnd, HttpEnd, KafkaEnd, SinkConfig, SyslogEnd
from collector.publish.sinks.file import FileSink
from collector.publish.sinks.kafka import KafkaSink
from collector.publish.sinks.otlp import OtlpSink
from collector.publish.sinks.port import Sink
from collector.publish.sinks.syslog import SyslogSink
from collector.publish.sinks.webhook import WebhookSink


def make_sink(config: SinkConfig) -> Sink:
    """Connects nowhere yet. Raises: ConfigError when a library it needs is missing."""
    match config.end:
        case FileEnd() as end:
            return FileSink(end)
        case SyslogEnd() as end:
            return SyslogSink(end, config.timeout_s)
        case KafkaEnd() as end:
            return KafkaSink(end, config.timeout_s)
        case HttpEnd() as end if config.type == "otlp":
            return OtlpSink(end, config.timeout_s)
        case HttpEnd() as end:
            return WebhookSink(end, config.timeout_s, single=config.rules.batch == 1)
