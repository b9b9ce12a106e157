"""Azure activity and Entra ID logs: the form of their records, who is behind them and what they are about."""

from collector.audit.azure.record import AzureActivity

__all__ = ["AzureActivity"]
