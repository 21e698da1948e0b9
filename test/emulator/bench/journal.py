"""What happened, kept in memory and bounded: calls, CloudTrail records, denials, and the faults that were asked for."""
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


class Faults:
    """Calls that are to fail: the next `times` of an operation answer with an error instead of being served."""

    def __init__(self):
        self._faults: list[dict] = []
        self._lock = threading.Lock()

    def add(self, fault: dict) -> dict:
        fault = {
            "service": fault["service"], "operation": fault.get("operation", "*"), "times": int(fault.get("times", 1)),
            "errorCode": fault.get("errorCode", "ThrottlingException"), "status": int(fault.get("status", 400)),
            "message": fault.get("message", "Rate exceeded"), "principalMatches": fault.get("principalMatches", ""),
            "after": bool(fault.get("after", False)), "used": 0,
        }
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def list(self) -> list[dict]:
        with self._lock:
            return [dict(fault) for fault in self._faults]

    def any(self) -> bool:
        return bool(self._faults)

    def take(self, service: str, operation: str, principal: str) -> dict | None:
        """The fault that this call is to suffer, counted down."""
        with self._lock:
            for fault in self._faults:
                if (fault["used"] < fault["times"] and fault["service"] in (service, "*")
                        and fault["operation"] in (operation, "*")
                        and (not fault["principalMatches"] or fault["principalMatches"] in principal)):
                    fault["used"] += 1
                    return dict(fault)
        return None


faults = Faults()


def iso(seconds: float | None = None) -> str:
    """CloudTrail's time format."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds if seconds is not None else time.time()))
