"""One of Cloud Custodian's deployed functions, without Lambda around it: its config.json lies in the folder that is given.

    {"importMilliseconds": 310.5}                                     once, first: what a cold start does before its first event
    {…an event of EventBridge…}                                       a line in
    {"milliseconds": 12.3, "resources": [{…}]}                        a line out: what the policy matched
    {"milliseconds": 12.3, "resources": [], "error": "KeyError: …"}   the invocation failed
"""
import json
import os
import sys
import time

os.chdir(sys.argv[1])
began = time.perf_counter()
from c7n import handler  # noqa: E402 (its import is what is measured)

imported = time.perf_counter()

# The handler answers only that it was there.
from c7n import policy, utils  # noqa: E402

matched = []
push = policy.Policy.push


def pushed(self, event, context):
    matched.extend(push(self, event, context) or [])


policy.Policy.push = pushed


def answer(line):
    # Others write to standard output as well.
    sys.__stdout__.write(utils.dumps(line, indent=None) + "\n")
    sys.__stdout__.flush()


sys.stdout = sys.stderr
answer({"importMilliseconds": (imported - began) * 1000})
for text in sys.stdin:
    event = json.loads(text)
    matched.clear()
    error = {}
    began = time.perf_counter()
    try:
        handler.dispatch_event(event, None)
    except Exception as failure:
        error = {"error": f"{type(failure).__name__}: {failure}"}
    answer({"milliseconds": (time.perf_counter() - began) * 1000, "resources": matched, **error})
