"""The queue between reader and core: order, a bound in bytes, and nothing lost at the bound."""

import threading

from agent.batches import BatchQueue
from agent.events import RawBatch


def batch(size: int, number: int = 1) -> RawBatch:
    return RawBatch(bytes(size), number, 0)


def test_batches_come_out_in_order_and_none_when_there_is_none():
    """First in, first out; an empty queue gives None at once where nothing is waited for."""
    queue = BatchQueue(100)
    for number in range(3):
        queue.put(batch(10, number))
    assert [queue.get(0).records for _ in range(3)] == [0, 1, 2]
    assert queue.get(0) is None
    assert queue.get(0.001) is None


def test_who_puts_waits_for_room_in_bytes():
    """The bound holds at every moment, and whatever was put comes out."""
    queue, most = BatchQueue(100), 0
    sizes = [60, 30, 80, 100, 10, 90, 5]
    writer = threading.Thread(target=lambda: [queue.put(batch(size)) for size in sizes])
    writer.start()
    seen = []
    while len(seen) < len(sizes):
        most = max(most, queue._bytes)
        taken = queue.get(5)
        assert taken is not None
        seen.append(len(taken.data))
    writer.join()
    assert seen == sizes
    assert most <= 100


def test_a_batch_larger_than_the_bound_passes_alone():
    """It waits for an empty queue, not for ever."""
    queue = BatchQueue(100)
    queue.put(batch(5000))
    assert len(queue.get(0).data) == 5000
