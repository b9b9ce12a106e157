"""Behaviours as templates: what varies by accident collapses, what matters stays.

Collapsed: numbers, hashes, UUIDs, dates, mktemp names, process ids. Kept: programs, options, the words of a
script, whatever lies below a directory where a single file name makes the difference (/etc, program
directories, cron, ssh). Two behaviours with the same template are the same member of a profile.

Every input is hostile: the work is bounded, and a template that had to be cut carries a digest of what was cut, so
that different behaviours do not collapse by being long.
"""

import re
from functools import lru_cache
from hashlib import blake2s

MAX_TEMPLATE = 320
_MAX_INPUT = 4096
_MAX_TOKENS = 24
_KEPT_WORDS = 2  # positional words of a command that say what it does ("pip install", "systemctl stop")

# Programs that are many: the name they were called by is the program.
_MULTICALL = frozenset({"busybox", "toybox", "coreutils"})
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"})
_CODE_OPTIONS = {"python": "-c", "perl": "-e", "ruby": "-e", "node": "-e", "php": "-r", "lua": "-e", "awk": ""}
_INTERPRETER = re.compile(r"^(python|perl|ruby|node|php|lua|awk)[0-9.]*$")

_VOLATILE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/var/run/", "/proc/")  # noqa: S108 - names, not used
_EXACT = (
    "/etc/", "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/",
    "/usr/libexec/", "/opt/bin/", "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/boot/",
    "/var/spool/cron/", "/root/.ssh/", "/var/run/secrets/", "/run/secrets/", "/dev/tcp/", "/dev/udp/",
)  # fmt: skip

# Files whose reading is telling by their very name: keys, tokens, passwords.
_SECRETS = (
    "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/security/", "/etc/ssl/private/", "/etc/kubernetes/", "/root/",
    "/var/run/secrets/", "/run/secrets/", "/var/lib/kubelet/", "/var/spool/cron/", "/boot/", "/proc/", "/sys/", "/dev/",
)  # fmt: skip
_SECRET_PARTS = re.compile(
    r"/\.(?:ssh|aws|kube|docker|gnupg|azure|config/gcloud|git-credentials|netrc|pgpass|my\.cnf|env|vault-token|bash_history)"
    r"|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519)|\.(?:key|p12|pfx|jks|keytab|kdbx)$|/(?:private|secrets?|credentials?)/",
    re.IGNORECASE,
)
_WRITE_PARTS = re.compile(
    r"/\.(?:ssh|aws|kube|docker|gnupg|bash|zsh|profile)|/cron|/systemd/|/authorized_keys", re.IGNORECASE
)
# What programs read of their own installation: which file of it is accident, as long as the image brought it.
_LIBRARIES = re.compile(
    r"^(?:/usr/(?:lib(?:32|64|exec)?|share|include)|/usr/local/(?:lib|share|include)|/lib(?:32|64)?|/nix/store|/gnu/store)(?=/)"
    r"|^.{1,200}?/(?:site-packages|dist-packages|node_modules|vendor/bundle|\.cargo/registry|\.m2/repository)(?=/)"
)
_LOADER = "/etc/ld.so.cache"
_SYSTEM = ("/usr/lib/", "/lib/", "/usr/share/", "/usr/include/", "/usr/lib64/", "/lib64/", "/usr/libexec/")
_KEY_FILES = (".key", ".p12", ".pfx", ".jks", ".keytab", ".kdbx")

# Names that programs make up: a text that must occur, what is replaced, by what. Only pids, counts, hashes and
# chance go.
_MADE_UP = tuple(
    (trigger, re.compile(pattern), replacement)
    for trigger, pattern, replacement in (
        ("/", r"(?<=/)(?:[0-9a-fA-F]{1,3}/){1,6}[0-9a-fA-F]{16,}(?=[/._-]|$)", "<hex>"),  # git, nginx, pip, npm caches
        ("/objects/", r"(?<=/objects/)[0-9a-f]{2}(?=/|$)", "<hex>"),
        ("/tmp_", r"(?<=/tmp_)(pack|obj|idx|rev)_\w{6}$", r"\1_<tmp>"),  # noqa: S108 - names, not used
        ("/.git/t", r"(?<=/\.git/)t[A-Za-z0-9]{6}$", "t<tmp>"),
        ("/0000", r"(?<=/)[0-9A-F]{24}(?=$|\.)", "<segment>"),  # PostgreSQL's log
        ("/base/", r"(?<=/base/)\d+(?=/|$)", "<oid>"),  # PostgreSQL: a directory for each database
        ("/base/", r"(?<=/)t\d+_\d+", "t<n>_<n>"),
        ("/cache/", r"(?:/[0-9a-f]{1,2}){1,2}$", "/<hex>"),
        ("/pg_", r"(/pg_[a-z_]+(?:/members|/offsets)?)/[0-9A-F]{4,6}$", r"\1/<n>"),
        ("/pgsql_tmp", r"(?<=/pgsql_tmp)\d+", "<n>"),
        (".snap", r"(?<=/)[0-9A-F]+-[0-9A-F]+(?=\.snap)", "<lsn>"),
        ("_temp/", r"(?<=_temp/)[0-9/]+$", "<n>"),  # nginx: client_body_temp/3/00/0000000003
        ("/temp-", r"(?<=/temp-)((?:rewriteaof-)?(?:bg-)?)\d+(?=\.[ar][od][fb]$)", r"\1<n>"),  # redis
        (".aof.", r"(?<=\.aof\.)\d+(?=\.)", "<n>"),
        ("/perf-", r"(?<=/perf-)\d+(?=\.map$)", "<n>"),
        ("/.attach_pid", r"(?<=/\.attach_pid)\d+", "<n>"),
        ("/hsperfdata_", r"(/hsperfdata_[^/]+)/\d+$", r"\1/<n>"),
        ("/pip-", r"(?<=/pip-)([a-z-]+)-[a-z0-9_]{8}(?=/|$|\.)", r"\1-<tmp>"),
        ("/etilqs_", r"(?<=/etilqs_)\w+", "<tmp>"),  # SQLite
        ("/psm_", r"(?<=/psm_)[0-9a-f]{8}", "<hex>"),
        ("/_cacache/tmp/", r"(?<=/_cacache/tmp/)[0-9a-f]{8}", "<hex>"),
        ("/cc", r"(?<=/cc)[A-Za-z0-9]{6}(?=(?:\.cdtor)?(?:$|\.(?:o|s|c|i|ii|res|ld|le|lto)$))", "<tmp>"),  # gcc
        ("/overlay2/l/", r"(?<=/overlay2/l/)[A-Z2-7]{20,}", "<id>"),
    )
)

_VARIABLE = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{12})"
    r"|(?P<date>(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?:[T_-]?\d\d[:_-]?\d\d(?:[:_-]?\d\d)?Z?)?(?![0-9a-zA-Z]))"
    r"|(?P<hex>(?<![0-9a-zA-Z])(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{12,}(?![0-9a-zA-Z]))"
    r"|(?P<short>(?<![0-9a-zA-Z])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,11}(?![0-9a-zA-Z]))"  # git
    r"|(?P<n>\d{3,}|(?<![0-9a-zA-Z])\d{1,2}(?![0-9a-zA-Z]))"
)
_VARIABLE_LOOSE = re.compile(_VARIABLE.pattern.replace(r"\d{3,}", r"\d+"))  # pids may be short
_COMPILED = re.compile(r"(?<=\.pyc\.)\d+$")
_TEMPFILE = re.compile(r"(?:^|(?<=[._-]))[a-z0-9_]{8}(?=$|\.[a-z]{1,5}$)")  # Python's tempfile
_UNSPEAKABLE = re.compile(r"[^aeiou0-9_]{4}")
_PROC = re.compile(r"^/proc/(\d+|self|thread-self)(?:(/task)/\d+)?(?:(/(?:fd|fdinfo|map_files))/[^/]+)?")
_PTS = re.compile(r"^(/dev/(?:pts/|tty))\d+$")
_RANDOM = re.compile(r"(?P<before>^tmp|^sess_|^sed|^|[._-])(?P<random>[A-Za-z0-9_]{6,12})(?=$|\.[a-z]{1,5}$)")
_PLAIN_WORD = re.compile(r"^[a-z][a-z_-]{0,31}$")
_OPTION = re.compile(r"^(--?[A-Za-z][A-Za-z0-9_-]{0,39})(=.*)?$", re.DOTALL)
_SECRET_OPTION = re.compile(r"^(-p|--?[\w-]*(?:pass|pwd|secret|token|key|auth|cred)[\w-]*)$", re.IGNORECASE)
_NOT_A_WORD = "*-</"  # first characters of templates that are not plain words
_URL = re.compile(r"^([a-z][a-z0-9+.-]{1,15})://(?:[^@/\s]*@)?([^/\s?#]{1,255})")


def bounded(text: str) -> str:
    """`text`, or its beginning and a digest of all of it where it is longer than a template may be."""
    if len(text) <= MAX_TEMPLATE:
        return text
    return f"{text[: MAX_TEMPLATE - 12]}…{_digest(text)}"


def _digest(text: str) -> str:
    return blake2s(text.encode("utf-8", "replace"), digest_size=5).hexdigest()


def path_template(path: str) -> str:
    """A path with its accidental parts collapsed: /var/tmp/job-20261121/tmp.Xk29aLq → /var/tmp/job-<date>/tmp.<tmp>."""
    path = path[:_MAX_INPUT]
    if path.startswith("/proc/"):
        path = _PROC.sub(_proc_template, path, count=1)
    elif path.startswith("/dev/"):
        path = _PTS.sub(r"\1<n>", path)
    if "/__pycache__/" in path:
        path = _COMPILED.sub("<n>", path)
    if path.startswith(_EXACT):
        return bounded(path)
    for trigger, pattern, replacement in _MADE_UP:
        if trigger in path:
            path = pattern.sub(replacement, path)
    loose = path.startswith(_VOLATILE) or "/tmp/" in path  # noqa: S108 - a name, not used
    return bounded("/".join([component(part, loose) for part in path.split("/")]))


def _proc_template(match: re.Match[str]) -> str:
    who = "<pid>" if match[1].isdigit() else match[1]
    return f"/proc/{who}{match[2] + '/<tid>' if match[2] else ''}{match[3] + '/<n>' if match[3] else ''}"


@lru_cache(maxsize=4096)
def component(part: str, loose: bool = False) -> str:
    """One component as a template. `loose`: in a directory for temporary files, where doubtful names are made up."""
    if not part or part.startswith("<"):
        return part
    if loose:
        part = _TEMPFILE.sub(_tempfile, part)
    variable = _VARIABLE_LOOSE if loose else _VARIABLE
    found = _RANDOM.search(part)
    if found and _looks_random(found["random"], bool(found["before"].strip("._-")), loose and bool(found["before"])):
        before, after = part[: found.start("random")], part[found.end("random") :]
        return f"{variable.sub(_placeholder, before)}<tmp>{variable.sub(_placeholder, after)}"
    return variable.sub(_placeholder, part)


def _tempfile(match: re.Match[str]) -> str:
    """Eight characters: behind a program's prefix drawn at random, alone if they have a digit or cannot be spoken."""
    word = match[0]
    before = match.string[match.start() - 1 : match.start()]
    if word.isdigit():
        return word
    made_up = before in ("-", "_") or any(c.isdigit() for c in word) or _UNSPEAKABLE.search(word)
    return "<tmp>" if made_up else word


def _looks_random(word: str, after_tmp: bool, doubtful: bool) -> bool:
    """Whether a word is more likely drawn by mktemp than written by a person; `doubtful`: any mixture will do."""
    if word.isdigit():
        return False
    digits = sum(c.isdigit() for c in word)
    uppers = sum(c.isupper() for c in word[1:])
    lowers = sum(c.islower() for c in word)
    mixed = (digits > 0) + (uppers > 0 and lowers > 0)
    return (after_tmp and (mixed > 0 or len(word) == 8)) or mixed >= 2 - doubtful or (uppers >= 2 and lowers >= 2)


def _placeholder(match: re.Match[str]) -> str:
    return "<n>" if match.lastgroup == "short" else f"<{match.lastgroup}>"  # some short hashes have digits only


def program(path: str, argv0: str = "") -> str:
    """The name of a program in a profile: its path; for multi-call binaries with the applet, /bin/busybox:wget.

    Paths stay exact except below directories where programs have no lasting name (/tmp, /dev/shm, memfd); elsewhere
    directories with a made-up name (/work/job-7) lose that, never the program's own.
    """
    base = path[path.rfind("/") + 1 :]
    if base in _MULTICALL:
        applet = argv0[argv0.rfind("/") + 1 :].lstrip("-")
        return bounded(f"{path}:{applet}") if applet and applet != base else path
    if path.startswith(("memfd:", "/memfd:")):
        return "memfd:*"
    if path.startswith(_VOLATILE):
        return path_template(path)
    directory = path[: -len(base)] if base else path
    if path.startswith(_EXACT) or not _VARIABLE.search(directory):
        return bounded(path)
    return bounded(path_template(directory) + base)


def basename(name: str) -> str:
    """The bare name of what `program` gave: /bin/busybox:wget → wget."""
    tail = name[name.rfind("/") + 1 :]
    head, _, applet = tail.partition(":")
    return applet if applet and head in _MULTICALL else tail


def argument_shape(name: str, argv: tuple[str, ...]) -> str:
    """What a command line does, without what it does it to: options stay, values become templates.

    `name` is what `program` gave. Shell scripts (`sh -c …`) keep the words of every command in them;
    other inline code is kept as a digest.
    """
    bare, arguments = basename(name), argv[1:]
    if bare in _MULTICALL and arguments:
        bare, arguments = arguments[0], arguments[1:]
        return bounded(f"{bare} {_shape(bare, arguments)}".rstrip())
    return bounded(_shape(bare, arguments))


def _shape(bare: str, arguments: tuple[str, ...]) -> str:
    if bare in SHELLS:
        return _shell_shape(arguments)
    interpreter = _INTERPRETER.match(bare)
    if interpreter:
        return _interpreter_shape(arguments, _CODE_OPTIONS[interpreter[1]])
    return " ".join(_tokens(arguments))


def _shell_shape(arguments: tuple[str, ...]) -> str:
    for index, argument in enumerate(arguments[:8]):
        if (
            argument.startswith("-")
            and not argument.startswith("--")
            and "c" in argument
            and index + 1 < len(arguments)
        ):
            return f"{' '.join(arguments[: index + 1])} {script_form(arguments[index + 1])}"
        if not argument.startswith("-"):
            break
    return _interpreter_shape(arguments, "")


def _interpreter_shape(arguments: tuple[str, ...], code_option: str) -> str:
    """Options, then the script file or module in full: it is the program."""
    out: list[str] = []
    for index, argument in enumerate(arguments[:_MAX_TOKENS]):
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if code_option and argument == code_option:
            return " ".join([*out, argument, f"<code:{_digest(_normal_code(following))}>"])
        if argument == "-m":
            return " ".join([*out, argument, following, *_tokens(arguments[index + 2 :])])
        if not argument.startswith("-"):
            return " ".join([*out, path_template(argument), *_tokens(arguments[index + 1 :])])
        out.append(_OPTION.sub(r"\1", argument)[:40])
    return " ".join(out)


def _normal_code(code: str) -> str:
    return _VARIABLE.sub(_placeholder, " ".join(code.split()))


def _tokens(arguments: tuple[str, ...] | list[str]) -> list[str]:
    out: list[str] = []
    words = 0
    for argument in arguments[:_MAX_TOKENS]:
        kept = words < _KEPT_WORDS and not (out and _SECRET_OPTION.match(out[-1]))
        words += _append(out, _token(argument[:_MAX_INPUT], kept))
    if len(arguments) > _MAX_TOKENS:
        out.append("…")
    return out


def _append(out: list[str], template: str) -> bool:
    """Add a template, repeated ones that stand for many as one; whether it was a plain word."""
    if template[-1:] != "*" or out[-1:] != [template]:
        out.append(template)
    return template[:1] not in _NOT_A_WORD


def _token(argument: str, keep_word: bool) -> str:
    option = _OPTION.match(argument)
    if option:
        return f"{option[1]}=*" if option[2] else option[1]
    url = _URL.match(argument)
    if url:
        return f"{url[1]}://{url[2]}/*"
    if argument.startswith(("/", "./", "../", "~/")):
        return _path_argument(argument)
    if argument.isdigit():
        return "<n>"
    return argument if keep_word and _PLAIN_WORD.match(argument) else "*"


def _path_argument(path: str) -> str:
    """Exact where names matter, else the directory: which file a tool works on is accident, where is not."""
    if path.startswith((*_EXACT, "/proc/", "/dev/")):
        return path_template(path)
    directory, _, _ = path.rpartition("/")
    return f"{path_template(directory)}/*"


_SCRIPT_WORD = re.compile(
    r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\$\(|`|&&|\|\||\|&|;;|[;|&\n(){}]|[0-9]*>>?&?|[0-9]*<>|[0-9]*<<?<?&?|(?:[^\s;|&(){}<>'\"`\\$]|\\.|\$(?!\())+",
    re.DOTALL,
)
_COMMAND_STARTS = frozenset({";", "|", "||", "&&", "&", "|&", ";;", "\n", "(", "{", "$(", "`"})
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "time", "exec", "nohup", "sudo", "env"}
)
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w{0,63}=")


def script_form(script: str) -> str:
    """Normal form of a shell script: operators, the program words and each command's arguments as templates.

    >>> script_form("cd /srv/app && ./run --id 4711 > /tmp/out.812931")
    'cd /srv/* && ./run --id <n> > /tmp/out.<n>'
    """
    text = script[:_MAX_INPUT]
    out: list[str] = []
    expects, words = "command", 0
    for word in _SCRIPT_WORD.findall(text):
        if word in _COMMAND_STARTS or word in "){}":
            expects, words, token = "command", 0, ";" if word == "\n" else word
        elif word.endswith(("<", ">", "<&", ">&")):
            expects = "target"
            out.append(word)
            continue
        elif expects == "target":
            token, expects = path_template(_unquote(word)), "argument"
        elif expects == "command":
            expects, token = _command_word(_unquote(word))
        else:
            kept = words < _KEPT_WORDS and not (out and _SECRET_OPTION.match(out[-1]))
            token = _token(_unquote(word), kept)
            words += token[:1] not in _NOT_A_WORD
        _append(out, token)
        if len(out) >= 4 * _MAX_TOKENS:
            break
    form = " ".join(out)
    return bounded(form) if len(script) <= _MAX_INPUT else f"{form[: MAX_TEMPLATE // 2]} …{_digest(script)}"


def _command_word(word: str) -> tuple[str, str]:
    """A word where a command is expected: what is expected next, and the word's template."""
    if word in _KEYWORDS:
        return "command", word
    if _ASSIGNMENT.match(word):
        return "command", f"{word.partition('=')[0]}=*"
    return "argument", path_template(word)


def _unquote(word: str) -> str:
    if len(word) >= 2 and word[0] == word[-1] and word[0] in "'\"":
        return word[1:-1]
    return word.replace("\\", "")


def exec_member(parent: str, name: str, argv: tuple[str, ...]) -> str:
    """Member of the class exec: who started what, how. `parent` and `name` as `program` gives them, or a marker."""
    shape = argument_shape(name, argv)
    return bounded(f"{parent} → {name} {shape}" if shape else f"{parent} → {name}")


def write_is_exact(path: str) -> bool:
    """Whether single names matter among the files written there."""
    return path.startswith(_EXACT) or _WRITE_PARTS.search(path) is not None


def read_is_exact(path: str) -> bool:
    """Whether single names matter among the files read there: keys, tokens, passwords, what belongs to root."""
    return path.startswith(_SECRETS) or _SECRET_PARTS.search(path) is not None


def file_path(path: str) -> str:
    """The template of a path that a program works on. A star of its own is written [*]: it never stands for many."""
    return path_template(path.replace("*", "[*]") if "*" in path else path)


def is_installation(path: str) -> bool:
    """Whether it is a library or a data file of installed software, whose reading says no more than that it runs."""
    if path.startswith(_SYSTEM):
        return not path.endswith(_KEY_FILES) and "/private/" not in path
    return (path == _LOADER or _LIBRARIES.match(path) is not None) and not read_is_exact(path)


def file_member(name: str, path: str, deed: str = "") -> str:
    """Member of the classes write and read: which program did it where. `path` as file_path gives it.

    `deed` says what was done other than writing or reading: "delete", "chmod +x" …
    """
    return bounded(f"{name} → {deed} {path}" if deed else f"{name} → {path}")


def write_member(name: str, path: str) -> str:
    """Member of the class write: which program wrote where."""
    return file_member(name, file_path(path))


def deed_member(name: str, deed: str) -> str:
    """Member of the classes credential, capability and call: who did what."""
    return bounded(f"{name} → {deed}")
