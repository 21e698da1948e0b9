"""What happened, kept in memory and bounded: calls, CloudTrail records, denials."""
import threading
import time
from collections import deque

LIMIT = 100_000


class Log:
    """An append-only list with sequence numbers; the oldest entries go when it is full."""

    def __init__(self, limit: int = LIMIT):
        self._entries: deque = deque(maxlen=limit)
        self._next = 1
        self._lock = threading.Lock()

    def add(self, entry: dict) -> dict:
        with self._lock:
            entry = {"seq": self._next, **entry}
            self._next += 1
            self._entries.append(entry)
            return entry

    def since(self, seq: int) -> tuple[int, list[dict]]:
        with self._lock:
            entries = []
            for entry in reversed(self._entries):
                if entry["seq"] <= seq:
                    break
                entries.append(entry)
            return self._next - 1, entries[::-1]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


calls = Log()
records = Log()
denials = Log()
undelivered = Log(10_000)


def iso(seconds: float | None = None) -> str:
    """CloudTrail's time format."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds if seconds is not None else time.time()))
