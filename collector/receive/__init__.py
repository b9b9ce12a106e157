"""The agents' side of the collector: who connects, what they send, in which order."""
