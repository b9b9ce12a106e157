"""What the agent costs the machine it protects, always relative to a baseline in the same run."""
