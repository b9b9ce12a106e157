"""Secrets out of command lines and texts, before they reach a finding.

What is recognised: values of options, variables and JSON keys whose name says secret, authentication
headers, credentials in URLs, well-known token formats, private keys. The text around them stays, so the
finding still shows what was done.
"""

import re
from collections.abc import Sequence

MARK = "[redacted]"
# Evidence is cut to a kilobyte afterwards; what lies beyond this cannot be shown and need not be searched.
MAX_TEXT = 4096

_WORDS = r"(?:password|passwd|passphrase|pwd|token|secret|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)"
# A name that only points to where the secret lies is evidence, not a secret.
_POINTER = r"(?![\w.-]*[-_](?:file|path|dir|name|ttl|id|type)\b)"
_NAME = rf"{_POINTER}[\w.-]*?{_WORDS}[\w-]*"
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s\"'&;|]+)"

_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_HEADER = re.compile(
    r"((?:proxy-)?authorization|x-api-key|x-auth-token|x-vault-token|x-aws-ec2-metadata-token|private-token|cookie)"
    r"(\s*:\s*)[^\r\n\"']+",
    re.IGNORECASE,
)
_JSON = re.compile(rf"(\"{_NAME}\"\s*:\s*)\"[^\"]*\"", re.IGNORECASE)
_ASSIGNED = re.compile(rf"((?<![\w/.-])-{{0,2}}{_NAME}=){_VALUE}", re.IGNORECASE)
_QUERY = re.compile(rf"([?&](?:{_NAME}|sig|signature|x-amz-signature|key)=)[^&\s\"']+", re.IGNORECASE)
_OPTION = re.compile(rf"((?<![\w-])--?{_NAME}\s+)(?!-){_VALUE}", re.IGNORECASE)
_URL = re.compile(r"([a-z][a-z0-9+.-]{1,30}://[^\s/:@\"']{0,256}:)[^\s/@\"']{1,1024}@", re.IGNORECASE)
_TOKENS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON web token
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"  # AWS access key id
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\b[sr]k_live_\w{16,}|\bAIza[\w-]{30,}|\bhvs\.[\w-]{20,}|\bnpm_[A-Za-z0-9]{30,}"
)

_SECRET_OPTION = re.compile(rf"--?{_NAME}$", re.IGNORECASE)
_USER_OPTION = frozenset({"-u", "--user", "--proxy-user", "-U"})
# Programs whose short option carries a password: option → is the value the next argument?
_SHORT_OPTIONS = {
    "sshpass": ("-p",),
    "redis-cli": ("-a",),
    "mysql": ("-p",),
    "mysqldump": ("-p",),
    "mariadb": ("-p",),
    "ldapsearch": ("-w",),
    "smbclient": ("-P",),
}
# With these a bare "-p" asks for the password: the next argument is something else.
_ATTACHED_ONLY = frozenset({"mysql", "mysqldump", "mariadb"})


def redact_text(text: str) -> str:
    """The text, cut to `MAX_TEXT` characters, with every recognised secret replaced by `[redacted]`."""
    text = text[:MAX_TEXT]
    if "-----BEGIN" in text:
        text = _PEM.sub(MARK, text)
    text = _TOKENS.sub(MARK, text)
    text = _HEADER.sub(rf"\1\2{MARK}", text)
    text = _URL.sub(rf"\1{MARK}@", text)
    text = _QUERY.sub(rf"\1{MARK}", text)
    text = _JSON.sub(rf'\1"{MARK}"', text)
    text = _ASSIGNED.sub(rf"\1{MARK}", text)
    return _OPTION.sub(rf"\1{MARK}", text)


def redact_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Arguments with secrets replaced; knows that a secret may be the argument after its option."""
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    shorts = _SHORT_OPTIONS.get(program, ())
    out: list[str] = []
    previous = ""
    for arg in argv:
        out.append(_argument(arg, previous, shorts, program))
        previous = arg
    return tuple(out)


def _argument(arg: str, previous: str, shorts: tuple[str, ...], program: str) -> str:
    if _SECRET_OPTION.match(previous) and not arg.startswith("-"):
        return MARK
    if previous in shorts and program not in _ATTACHED_ONLY:
        return MARK
    for short in shorts:
        if arg.startswith(short) and len(arg) > len(short):
            return short + MARK
    if previous in _USER_OPTION and ":" in arg:
        return f"{arg.partition(':')[0]}:{MARK}"
    if "=" in arg and " " not in arg.partition("=")[0]:
        return _assignment(arg)
    return redact_text(arg)


def _assignment(arg: str) -> str:
    """NAME=value as one argument: the value may hold blanks, so all of it goes."""
    name, _, _ = arg.partition("=")
    if re.fullmatch(rf"-{{0,2}}{_NAME}", name, re.IGNORECASE):
        return f"{name}={MARK}"
    return redact_text(arg)


def command_line(argv: Sequence[str]) -> str:
    """A command line fit to be shown: redacted, joined by blanks."""
    return " ".join(redact_argv(argv))
