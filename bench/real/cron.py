"""cron: a real daemon with the usual jobs: rotating logs, cleaning up, backups here and of the database, reports."""

import random
from pathlib import Path

from bench.real.container import Start
from bench.real.workload import FILES, Deed, Workload, World, directory, write

_JOBS = """\
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
* * * * * root /usr/local/sbin/note
*/2 * * * * root /usr/sbin/logrotate -s /var/lib/logrotate/status /etc/logrotate.conf
*/2 * * * * root find /tmp -xdev -type f -mmin +2 -delete
*/3 * * * * root /usr/local/sbin/backup
*/4 * * * * root cd / && run-parts --report /etc/cron.hourly
*/5 * * * * root pg_dump -h postgres-0.real -U postgres shop | gzip > /backup/db-$(date +\\%H\\%M).sql.gz
"""
_ROTATE = """\
/var/log/app.log /var/log/jobs.log {
  rotate 4
  size 1k
  compress
  delaycompress
  missingok
  create 0640 root adm
  postrotate
    touch /run/app.reopen
  endscript
}
"""
_PAM = """\
auth sufficient pam_permit.so
account sufficient pam_permit.so
session required pam_permit.so
password required pam_deny.so
"""


def _prepare(root: Path) -> None:
    write(root, "etc/cron.d/shop", _JOBS)
    write(root, "etc/crontab", "SHELL=/bin/sh\n")
    for name in ("cron", "other"):
        write(root, f"etc/pam.d/{name}", _PAM)
    write(root, "etc/logrotate.conf", _ROTATE)
    write(root, "etc/cron.hourly/report", (FILES / "report").read_text(), 0o755)
    write(root, "usr/local/sbin/note", (FILES / "note").read_text(), 0o755)
    write(root, "usr/local/sbin/backup", (FILES / "backup").read_text(), 0o755)
    (root / "usr/bin/pg_dump").unlink(missing_ok=True)
    (root / "usr/bin/pg_dump").symlink_to("../lib/postgresql/15/bin/pg_dump")
    for path in ("backup", "var/lib/logrotate", "var/spool/cron/crontabs", "srv/data"):
        directory(root, path)


def _start(_world: World, _ordinal: int) -> Start:
    return Start(("/usr/sbin/cron", "-f"))


def _data(world: World, rng: random.Random) -> None:
    """Another service leaves data to be backed up."""
    target = world.pick("cron").root / "srv/data" / f"batch-{rng.randrange(10**8):08d}.csv"
    target.write_text("1,2,3\n" * rng.randrange(10, 400))


CRON = Workload(
    "cron",
    ("cron", "logrotate", "libpam0g", "libpam-modules", "libpam-runtime", "libselinux1", "libpopt0", "libacl1",
     "debianutils", "postgresql-client-15", "tar", "gzip", "findutils", "sed", "grep", "mawk", "dash", "coreutils",
     "sensible-utils", "libc-bin", "bash", "curl"),
    2, 6, _prepare, _start, (Deed("data", 20, _data),),
)  # fmt: skip
