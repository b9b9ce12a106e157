"""The `vedette` command: thin, it imports the agent or the collector only when asked."""
