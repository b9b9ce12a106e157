"""One test of the compiled form → a closure over an event.

The closures take the lower-cased view of the event, which knows the raw one. They are what runs for every rule and
event, so every decision that depends on the rule alone is taken here, once.
"""

import re
import warnings
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address, ip_network

from detection.errors import RuleError
from detection.rules.ir import FIELD_OPS, TIME_OPS, Op, Test
from detection.rules.view import Lowered, Text, each, text_of

Predicate = Callable[[Lowered], bool]
_One = Callable[[str], bool]

_MAX_REGEX = 4096
_AS_IT_CAME = TIME_OPS | {Op.RE, Op.CIDR, Op.GT, Op.GTE, Op.LT, Op.LTE}
_PARTS: dict[Op, Callable[[datetime], int]] = {
    Op.MINUTE: lambda t: t.minute,
    Op.HOUR: lambda t: t.hour,
    Op.DAY: lambda t: t.day,
    Op.WEEK: lambda t: t.isocalendar().week,
    Op.MONTH: lambda t: t.month,
    Op.YEAR: lambda t: t.year,
}


def compile_test(test: Test) -> Predicate:
    """The predicate of one test. Raises: RuleError when a value does not fit the operator."""
    match test.op:
        case Op.EXISTS:
            return _exists(test.field, all(bool(v) for v in test.values))
        case Op.NULL:
            return _null(test.field)
        case op if op in FIELD_OPS:
            return _same_field(test)
        case _:
            return _over_values(test)


def _over_values(test: Test) -> Predicate:
    cased = test.cased or test.op in _AS_IT_CAME
    if test.every and len(test.values) > 1:
        singles = [Test(test.field, test.op, (v,), cased=test.cased) for v in test.values]
        return _every(tuple(_over_values(single) for single in singles))
    if test.field and not cased:
        return _over_lowered(test)
    return _applied(test.field, _any_value(test), cased)


def _over_lowered(test: Test) -> Predicate:
    """The commonest tests, without a call of their own for each value: it would cost more than the test."""
    texts = tuple(_folded(test, v) for v in test.values)
    match test.op:
        case Op.ENDSWITH:
            return _ends(test.field, texts)
        case Op.CONTAINS if len(texts) == 1:
            return _holds(test.field, texts[0])
        case Op.EQUALS if len(texts) == 1:
            return _equals(test.field, texts[0])
        case _:
            return _applied(test.field, _any_value(test), cased=False)


def _ends(field: str, texts: tuple[str, ...]) -> Predicate:
    def ends(low: Lowered) -> bool:
        value = low[field]
        if value.__class__ is str:
            return value.endswith(texts)
        return value is not None and any([v.endswith(texts) for v in value])  # noqa: C419 - a generator is slower

    return ends


def _holds(field: str, text: str) -> Predicate:
    def holds(low: Lowered) -> bool:
        value = low[field]
        if value.__class__ is str:
            return text in value
        return value is not None and any([text in v for v in value])  # noqa: C419 - a generator is slower

    return holds


def _equals(field: str, text: str) -> Predicate:
    def equals(low: Lowered) -> bool:
        value = low[field]
        return value == text if value.__class__ is str else value is not None and text in value

    return equals


def _applied(field: str, one: _One, cased: bool) -> Predicate:
    """`one` over the field's value, or over any of them."""
    if not field:
        return _keyword(one, cased)

    def on_lowered(low: Lowered) -> bool:
        value = low[field]
        if value.__class__ is str:
            return one(value)
        return value is not None and any(map(one, value))

    def on_raw(low: Lowered) -> bool:
        value = low.raw[field]
        if value.__class__ is str:
            return one(value)
        return value is not None and any(map(one, value))

    return on_raw if cased else on_lowered


def _every(parts: tuple[Predicate, ...]) -> Predicate:
    def every(low: Lowered) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the tests
            if not part(low):
                return False
        return True

    return every


def _keyword(one: _One, cased: bool) -> Predicate:
    def search(low: Lowered) -> bool:
        return any(one(text if cased else text.lower()) for text in low.raw.all_text())

    return search


def _any_value(test: Test) -> _One:  # noqa: PLR0911 - one line per operator
    """Does a single text pass against any of the test's values?"""
    texts = tuple(_folded(test, v) for v in test.values)
    match test.op:
        case Op.EQUALS:
            return frozenset(texts).__contains__
        case Op.STARTSWITH:
            return lambda text: text.startswith(texts)
        case Op.ENDSWITH:
            return lambda text: text.endswith(texts)
        case Op.CONTAINS:
            return _contains(texts)
        case Op.LIKE:
            return _searches(tuple(like_to_regex(t) for t in texts), "fullmatch")
        case Op.RE:
            return _searches(tuple(str(v) for v in test.values), "search")
        case Op.CIDR:
            return _cidr(test)
        case op if op in TIME_OPS:
            return _time_part(test)
        case _:
            return _compares(test)


def _time_part(test: Test) -> _One:
    part, wanted = _PARTS[test.op], {str(v) for v in test.values}

    def holds(text: str) -> bool:
        try:
            return str(part(datetime.fromisoformat(text))) in wanted
        except ValueError:
            return False

    return holds


def _folded(test: Test, value: object) -> str:
    text = text_of(value)
    assert isinstance(text, str)
    return text if test.cased else text.lower()


def _contains(texts: tuple[str, ...]) -> _One:
    if len(texts) == 1:
        only = texts[0]
        return lambda text: only in text

    def any_in(text: str) -> bool:
        for part in texts:  # noqa: SIM110 - a generator costs more than the search itself
            if part in text:
                return True
        return False

    return any_in


def _searches(sources: tuple[str, ...], how: str) -> _One:
    finders = tuple(getattr(_regex(s), how) for s in sources)
    return lambda text: any(find(text) is not None for find in finders)


def _regex(source: str) -> re.Pattern[str]:
    if len(source) > _MAX_REGEX:
        raise RuleError(f"regular expression longer than {_MAX_REGEX} characters; split it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(source)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise RuleError(f"regular expression {source!r}: {error}") from error


def like_to_regex(pattern: str) -> str:
    r"""A Sigma wildcard pattern (*, ?, \ escapes) as the source of a regular expression."""
    out, escaped = [], False
    for char in pattern:
        if escaped:
            out.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            out.append({"*": ".*", "?": "."}.get(char) or re.escape(char))
    return "(?s:" + "".join(out) + ("\\\\" if escaped else "") + ")"


def _cidr(test: Test) -> _One:
    try:
        networks = tuple(ip_network(str(v), strict=False) for v in test.values)
    except ValueError as error:
        raise RuleError(f"field {test.field}: {error}; write a network as 10.0.0.0/8") from error

    def inside(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return inside


def _compares(test: Test) -> _One:
    try:
        bounds = tuple(float(v) for v in test.values)
    except ValueError as error:
        raise RuleError(f"field {test.field}: {test.op.value} needs a number ({error})") from error
    op = test.op

    def holds(text: str) -> bool:
        try:
            number = float(text)
        except ValueError:
            return False
        return any(_ordered(op, number, bound) for bound in bounds)

    return holds


def _ordered(op: Op, number: float, bound: float) -> bool:
    match op:
        case Op.GT:
            return number > bound
        case Op.GTE:
            return number >= bound
        case Op.LT:
            return number < bound
        case _:
            return number <= bound


def _exists(field: str, wanted: bool) -> Predicate:
    return lambda low: (low.raw[field] is not None) is wanted


def _null(field: str) -> Predicate:
    return lambda low: not low.raw[field]


def _same_field(test: Test) -> Predicate:
    field, others, meets = test.field, tuple(str(v) for v in test.values), _MEETINGS[test.op]

    def same(low: Lowered) -> bool:
        view: dict[str, Text] = low.raw if test.cased else low
        mine = each(view[field])
        return any(meets(one, two) for other in others for two in each(view[other]) for one in mine)

    return same


_MEETINGS: dict[Op, Callable[[str, str], bool]] = {
    Op.FIELD: str.__eq__,
    Op.FIELD_STARTSWITH: lambda one, two: bool(two) and one.startswith(two),
    Op.FIELD_ENDSWITH: lambda one, two: bool(two) and one.endswith(two),
    Op.FIELD_CONTAINS: lambda one, two: bool(two) and two in one,
}
