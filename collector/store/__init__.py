"""What the collector keeps: streams, records, findings, incidents and the output log, in one database."""
