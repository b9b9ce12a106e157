"""An incident of nothing but rates says which."""

from collector.correlate.title import title_of
from detection.finding import Entity, EntityKind, Finding, Kind, Severity, Source


def finding(**fields: str) -> Finding:
    entities = (Entity(EntityKind.WORKLOAD, "k8s/shop/deployment/web/web"),)
    named = {f"rates.{name}": value for name, value in fields.items()}
    return Finding(
        "f1",
        1,
        Source.RUNTIME,
        Kind.ANOMALY,
        "rates",
        "long",
        Severity.HIGH,
        "because",
        (),
        entities,
        {**named, "x": "y"},
    )


def test_the_first_two_rates_are_named() -> None:
    found = [finding(seconds="60", cpu="1 cores", bytes_out="1 MB/s", peers="9")]
    assert title_of(found, (), ()) == "shop/web: unusual rates (CPU time, bytes sent)"


def test_a_mixture_of_rates_is_unusual_as_such() -> None:
    assert title_of([finding(seconds="60")], (), ()) == "shop/web: unusual rates"
