"""The tables. Times are Unix nanoseconds; bodies are JSON (see codec).

first, last and time are the event's; received and written are the collector's, and what retention goes by: an old
log that is brought in late is not old here.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

# SQLite counts up by itself only for a column that is exactly INTEGER PRIMARY KEY.
_CURSOR = BigInteger().with_variant(Integer, "sqlite")

streams = Table(
    "streams",
    metadata,
    Column("agent_id", String(253), primary_key=True),
    Column("stream_id", String(64), primary_key=True),
    Column("committed_seq", BigInteger, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("missed", BigInteger, nullable=False),  # records the agent had no more when it came
    Column("node", String, nullable=False),
    Column("boot_id", String, nullable=False),
    Column("version", String, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
)

records = Table(
    "records",
    metadata,
    Column("agent_id", String(253), primary_key=True),
    Column("stream_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", String(16), nullable=False),  # finding, ledger, bad_payload
    Column("finding_id", String),
    Column("received_ns", BigInteger, nullable=False, index=True),
)

ledgers = Table(
    "ledgers",
    metadata,
    Column("agent_id", String(253), primary_key=True),
    Column("stream_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("received_ns", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("agent_id", String(253), primary_key=True),
    Column("stream_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("reason", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_ns", BigInteger, nullable=False, index=True),
)

findings = Table(
    "findings",
    metadata,
    Column("id", String, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    Column("written_ns", BigInteger, nullable=False, index=True),
    Column("severity", Integer, nullable=False),
    Column("source", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False, index=True),
    Column("written_ns", BigInteger, nullable=False, index=True),
    Column("superseded_by", String, nullable=False),
    Column("body", LargeBinary, nullable=False),  # all but the findings themselves
)

# The output log, compacted: of an incident only the newest change is here. An entry names what it is about and
# readers get its present state.
events = Table(
    "events",
    metadata,
    Column("cursor", _CURSOR, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # finding, incident
    Column("subject", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("written_ns", BigInteger, nullable=False, index=True),
    Index("events_subject", "kind", "subject"),
    sqlite_autoincrement=True,
)

# What each agent told of each profile, the newest; and what people decided. Keys are digests: names are long.
profiles = Table(
    "profiles",
    metadata,
    Column("agent_id", String(253), primary_key=True),
    Column("profile", String(64), primary_key=True),
    Column("workload", String, nullable=False),
    Column("version", String, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("ordinal", BigInteger, nullable=False),  # grows with everything that is taken, over all agents
    Column("closed_ns", BigInteger, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Index("profiles_profile", "profile"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("profile", String(64), primary_key=True),
    Column("workload", String, nullable=False),
    Column("version", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("decided_ns", BigInteger, nullable=False),
)

# Behaviour of principals in audit logs; `kind`: principal, group, or source (one row each).
principals = Table(
    "principals",
    metadata,
    Column("id", String(64), primary_key=True),  # digest of source, kind and name
    Column("source", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String, nullable=False),
    Column("seen_ns", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)

# What rates are learned from: a bounded sample of each workload's windows, by place, and the newest forest.
rate_workloads = Table(
    "rate_workloads",
    metadata,
    Column("profile", String(64), primary_key=True),
    Column("workload", String, nullable=False),
    Column("version", String, nullable=False),
    Column("taken", BigInteger, nullable=False),  # windows that ever came; of these a sample is kept
    Column("learned", BigInteger, nullable=False),  # of these had come when it was trained last
    Column("revision", BigInteger, nullable=False),  # 0: no forest yet
    Column("seen_ns", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary),
)

rate_windows = Table(
    "rate_windows",
    metadata,
    Column("profile", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
