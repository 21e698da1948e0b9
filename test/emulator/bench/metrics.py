"""Metrics of functions: what CloudWatch keeps of their invocations, and what tests write there."""
import threading
import time

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

# The emulator replaces the lists of data points while it looks for old ones.
lock = threading.RLock()

_UNITS = {"Duration": "Milliseconds", "IteratorAge": "Milliseconds"}


def record(function: str, metric: str, value: float, at: float | None = None) -> None:
    """A data point of a function's metric in the account and region of the request."""
    dimensions = {"FunctionName": function}
    with lock:
        cloudwatch._metric_bucket(("AWS/Lambda", metric, cloudwatch._dims_key(dimensions))).append({
            "Timestamp": time.time() if at is None else at, "Value": float(value), "Unit": _UNITS.get(metric, "Count"), "Dimensions": dimensions})


def write(points: list, account: str, region: str) -> int:
    """Data points that a test wants to have been there: function, metric, value, and at in milliseconds since 1970."""
    with request_scope(account, region):
        for point in points:
            record(point["function"], point["metric"], point["value"], point["at"] / 1000)
    return len(points)
