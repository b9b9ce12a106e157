"""Web application firewalls: what each wrote of a request, as one form that rules read."""

from collector.audit.waf.aws import AwsWaf
from collector.audit.waf.modsecurity import ModSecurity

__all__ = ["AwsWaf", "ModSecurity"]
