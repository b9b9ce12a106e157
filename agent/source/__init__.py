"""The agent's eyes."""
