"""What retention would take from readers that have not come that far. Blocks."""

from collections.abc import Mapping

from sqlalchemy import func, or_, select

from collector.store.schema import events
from collector.store.store import Store


def overtaken(store: Store, cursors: Mapping[str, int], before_ns: int, keep_events: int) -> dict[str, int]:
    """By reader: events behind its cursor that `Store.trim` with these bounds would delete. Raises: StoreError."""
    if not cursors:
        return {}
    last = store.newest_cursor() - keep_events
    doomed = or_(events.c.written_ns < before_ns, events.c.cursor <= last)
    with store.reading() as connection:
        return {
            name: connection.execute(
                select(func.count()).select_from(events).where(events.c.cursor > cursor, doomed)
            ).scalar_one()
            for name, cursor in cursors.items()
        }
