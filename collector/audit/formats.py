"""Every audit log we read, by the name its findings carry."""

from collections.abc import Mapping

from collector.audit.aws import CloudTrail
from collector.audit.azure import AzureActivity
from collector.audit.format import Format
from collector.audit.gcp import GcpAudit
from collector.audit.kubernetes import KubernetesAudit
from collector.audit.waf import AwsWaf, ModSecurity

_ALL: tuple[Format, ...] = (
    KubernetesAudit(),
    CloudTrail(),
    GcpAudit(),
    AzureActivity(),
    ModSecurity(),
    AwsWaf(),
)
FORMATS: Mapping[str, Format] = {form.source.value: form for form in _ALL}
