"""Techniques of ATT&CK's Linux and Containers matrices (v16), and why one has no rule of ours.

One line each: id, matrices (L Linux, C Containers), name, why there is no rule (used where none is). Data from
https://attack.mitre.org/matrices/enterprise/linux/ and …/containers/, techniques without their sub-techniques.
"""

from typing import NamedTuple

BASELINE = "the baseline: first seen by this workload"
RATES = "the rates of its container"
UNSEEN = "not visible to our events"
ORDINARY = "too ordinary for a rule; " + BASELINE


class Row(NamedTuple):
    """A technique in one tactic. `without`: what is left to whom where no rule covers it."""

    tactic: str
    id: str
    matrices: str
    name: str
    without: str


_TEXT = f"""
initial-access
T1189 L Drive-by Compromise|{UNSEEN}: happens in a person's browser
T1190 LC Exploit Public-Facing Application|{BASELINE}: what the application starts afterwards
T1133 LC External Remote Services|audit rules; {BASELINE} (a new peer of a listener)
T1200 L Hardware Additions|{UNSEEN}
T1566 L Phishing|{UNSEEN}: mail is not looked at
T1195 L Supply Chain Compromise|{BASELINE}: a new version inherits the profile of the one before
T1199 L Trusted Relationship|{UNSEEN}: looks like its owner
T1078 LC Valid Accounts|audit rules and the behaviour of principals
execution
T1059 L Command and Scripting Interpreter|{ORDINARY}
T1609 C Container Administration Command|{ORDINARY}
T1610 C Deploy Container|audit rules
T1203 L Exploitation for Client Execution|{BASELINE}
T1559 L Inter-Process Communication|{ORDINARY} (unix sockets)
T1106 L Native API|{BASELINE} (privileged calls)
T1053 LC Scheduled Task/Job|{BASELINE}
T1072 L Software Deployment Tools|{ORDINARY}
T1569 L System Services|{BASELINE}
T1204 LC User Execution|{ORDINARY}
persistence
T1098 LC Account Manipulation|{BASELINE}
T1547 L Boot or Logon Autostart Execution|{BASELINE}
T1037 L Boot or Logon Initialization Scripts|{BASELINE} (files written)
T1176 L Software Extensions|{ORDINARY}
T1554 L Compromise Host Software Binary|{BASELINE}
T1136 LC Create Account|{BASELINE}
T1543 LC Create or Modify System Process|{BASELINE}
T1546 L Event Triggered Execution|{BASELINE}
T1133 LC External Remote Services|audit rules
T1574 L Hijack Execution Flow|{BASELINE}
T1525 C Implant Internal Image|audit rules
T1556 L Modify Authentication Process|{BASELINE}
T1653 L Power Settings|{ORDINARY}
T1542 L Pre-OS Boot|{UNSEEN}: before the sensor starts
T1053 LC Scheduled Task/Job|{BASELINE}
T1505 L Server Software Component|{BASELINE}
T1205 L Traffic Signaling|{UNSEEN}: packets are not looked at; raw sockets are
T1078 LC Valid Accounts|audit rules
privilege-escalation
T1548 L Abuse Elevation Control Mechanism|{BASELINE}
T1098 LC Account Manipulation|{BASELINE}
T1547 L Boot or Logon Autostart Execution|{BASELINE}
T1037 L Boot or Logon Initialization Scripts|{BASELINE}
T1543 LC Create or Modify System Process|{BASELINE}
T1611 LC Escape to Host|{BASELINE}
T1546 L Event Triggered Execution|{BASELINE}
T1068 LC Exploitation for Privilege Escalation|{BASELINE} (credential changes)
T1574 L Hijack Execution Flow|{BASELINE}
T1055 L Process Injection|{BASELINE}
T1053 LC Scheduled Task/Job|{BASELINE}
T1078 LC Valid Accounts|audit rules
defense-evasion
T1548 L Abuse Elevation Control Mechanism|{BASELINE}
T1612 C Build Image on Host|{BASELINE} (a program never started there)
T1622 L Debugger Evasion|{UNSEEN}: reading /proc/self/status is everyday
T1140 L Deobfuscate/Decode Files or Information|{ORDINARY}
T1610 C Deploy Container|audit rules
T1006 L Direct Volume Access|{BASELINE}
T1480 L Execution Guardrails|{UNSEEN}: happens inside a program
T1211 L Exploitation for Defense Evasion|{BASELINE}
T1222 L File and Directory Permissions Modification|{BASELINE}
T1564 L Hide Artifacts|{BASELINE}
T1574 L Hijack Execution Flow|{BASELINE}
T1562 LC Impair Defenses|the ledger: an agent that falls silent is a gap
T1656 L Impersonation|{UNSEEN}
T1070 LC Indicator Removal|{BASELINE}
T1202 L Indirect Command Execution|{BASELINE}
T1036 LC Masquerading|{BASELINE}
T1556 L Modify Authentication Process|{BASELINE}
T1027 L Obfuscated Files or Information|{UNSEEN}: content of files is not read
T1542 L Pre-OS Boot|{UNSEEN}
T1055 L Process Injection|{BASELINE}
T1620 L Reflective Code Loading|{BASELINE}
T1014 L Rootkit|{BASELINE} (modules and BPF programs loaded)
T1553 L Subvert Trust Controls|{BASELINE} (files written)
T1218 L System Binary Proxy Execution|{BASELINE}
T1205 L Traffic Signaling|{UNSEEN}
T1550 C Use Alternate Authentication Material|audit rules and the behaviour of principals
T1078 LC Valid Accounts|audit rules
T1497 L Virtualization/Sandbox Evasion|{ORDINARY}
credential-access
T1557 L Adversary-in-the-Middle|{BASELINE} (raw sockets)
T1110 LC Brute Force|{RATES} (connections); audit rules
T1555 L Credentials from Password Stores|{BASELINE} (files read)
T1212 L Exploitation for Credential Access|{BASELINE}
T1056 L Input Capture|{BASELINE} (devices read)
T1556 L Modify Authentication Process|{BASELINE}
T1111 L Multi-Factor Authentication Interception|{UNSEEN}
T1621 L Multi-Factor Authentication Request Generation|{UNSEEN}: at the identity provider
T1040 L Network Sniffing|{BASELINE}
T1003 L OS Credential Dumping|{BASELINE}
T1528 C Steal Application Access Token|audit rules
T1649 L Steal or Forge Authentication Certificates|{BASELINE} (files read)
T1558 L Steal or Forge Kerberos Tickets|{BASELINE} (files read)
T1539 L Steal Web Session Cookie|{UNSEEN}: in a person's browser
T1552 LC Unsecured Credentials|{BASELINE} (files read)
discovery
T1087 L Account Discovery|{ORDINARY}
T1217 L Browser Information Discovery|{UNSEEN}: in a person's browser
T1613 C Container and Resource Discovery|audit rules
T1622 L Debugger Evasion|{UNSEEN}
T1652 L Device Driver Discovery|{ORDINARY}
T1083 L File and Directory Discovery|{ORDINARY}
T1654 L Log Enumeration|{ORDINARY}
T1046 LC Network Service Discovery|{RATES} (new peers)
T1135 L Network Share Discovery|{ORDINARY}
T1040 L Network Sniffing|{BASELINE}
T1201 L Password Policy Discovery|{ORDINARY}
T1120 L Peripheral Device Discovery|{ORDINARY}
T1069 LC Permission Groups Discovery|{ORDINARY}
T1057 L Process Discovery|{ORDINARY}
T1018 L Remote System Discovery|{RATES} (new peers)
T1518 L Software Discovery|{ORDINARY}
T1082 L System Information Discovery|{ORDINARY}
T1614 L System Location Discovery|{ORDINARY}
T1016 L System Network Configuration Discovery|{ORDINARY}
T1049 L System Network Connections Discovery|{ORDINARY}
T1033 L System Owner/User Discovery|{ORDINARY}
T1007 L System Service Discovery|{ORDINARY}
T1124 L System Time Discovery|{ORDINARY}
lateral-movement
T1210 L Exploitation of Remote Services|{BASELINE}
T1534 L Internal Spearphishing|{UNSEEN}
T1570 L Lateral Tool Transfer|{BASELINE} (egress, files written)
T1563 L Remote Service Session Hijacking|{BASELINE} (unix sockets, ptrace)
T1021 L Remote Services|{BASELINE} (egress)
T1072 L Software Deployment Tools|{ORDINARY}
T1080 L Taint Shared Content|{BASELINE} (files written)
T1550 C Use Alternate Authentication Material|audit rules and the behaviour of principals
collection
T1557 L Adversary-in-the-Middle|{BASELINE} (raw sockets)
T1560 L Archive Collected Data|{ORDINARY}
T1123 L Audio Capture|{UNSEEN}: servers have none
T1119 L Automated Collection|{RATES} (files)
T1115 L Clipboard Data|{UNSEEN}: servers have none
T1213 L Data from Information Repositories|audit rules; {RATES}
T1005 L Data from Local System|{BASELINE} (files read)
T1039 L Data from Network Shared Drive|{BASELINE} (files read)
T1025 L Data from Removable Media|{BASELINE} (mounts)
T1074 L Data Staged|{BASELINE} (files written)
T1056 L Input Capture|{BASELINE}
T1113 L Screen Capture|{UNSEEN}: servers have none
command-and-control
T1071 L Application Layer Protocol|{BASELINE} (egress)
T1132 L Data Encoding|{UNSEEN}: content of traffic is not read
T1001 L Data Obfuscation|{UNSEEN}: content of traffic is not read
T1568 L Dynamic Resolution|{BASELINE} (names asked for); {RATES}
T1573 L Encrypted Channel|{UNSEEN}: content of traffic is not read; {BASELINE} (egress)
T1008 L Fallback Channels|{BASELINE} (egress)
T1665 L Hide Infrastructure|{BASELINE} (egress)
T1105 L Ingress Tool Transfer|{BASELINE}
T1104 L Multi-Stage Channels|{BASELINE} (egress)
T1095 L Non-Application Layer Protocol|{BASELINE} (raw sockets)
T1571 L Non-Standard Port|{BASELINE} (egress by port)
T1572 L Protocol Tunneling|{BASELINE}
T1090 L Proxy|{BASELINE}
T1219 L Remote Access Software|{BASELINE} (programs, egress)
T1205 L Traffic Signaling|{UNSEEN}
T1102 L Web Service|{BASELINE} (names asked for)
exfiltration
T1020 L Automated Exfiltration|{RATES} (bytes sent)
T1030 L Data Transfer Size Limits|{BASELINE} (egress): small pieces show in no rate
T1048 L Exfiltration Over Alternative Protocol|{BASELINE}; {RATES} (bytes sent)
T1041 L Exfiltration Over C2 Channel|{RATES} (bytes sent)
T1011 L Exfiltration Over Other Network Medium|{UNSEEN}: servers have none
T1052 L Exfiltration Over Physical Medium|{BASELINE} (mounts)
T1567 L Exfiltration Over Web Service|{BASELINE} (names asked for)
T1029 L Scheduled Transfer|{BASELINE} (egress)
impact
T1531 L Account Access Removal|audit rules
T1485 LC Data Destruction|{RATES} (files deleted)
T1486 L Data Encrypted for Impact|{RATES} (files written)
T1565 L Data Manipulation|{BASELINE} (files written by whom)
T1491 L Defacement|{BASELINE} (files written)
T1561 L Disk Wipe|{BASELINE}
T1499 LC Endpoint Denial of Service|{RATES}
T1495 L Firmware Corruption|{BASELINE} (devices written)
T1490 LC Inhibit System Recovery|audit rules
T1498 LC Network Denial of Service|{RATES} (connections, bytes sent)
T1496 LC Resource Hijacking|{RATES} (processor time)
T1489 L Service Stop|{ORDINARY}
T1529 L System Shutdown/Reboot|the ledger: a node that stops is a gap
"""


def rows() -> list[Row]:
    """Every technique of both matrices, in the order of the tactics."""
    found: list[Row] = []
    tactic = ""
    for line in _TEXT.strip().splitlines():
        about, bar, without = line.partition("|")
        if not bar:
            tactic = line
            continue
        technique, matrices, name = about.split(" ", 2)
        found.append(Row(tactic, technique, matrices, name, without))
    return found
