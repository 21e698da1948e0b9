"""What is known about the API call being served, reachable from anywhere inside it (context variables follow tasks and threads)."""
import contextvars
from dataclasses import dataclass, field


@dataclass
class Call:
    """One API call, from its arrival until its record is written."""

    service: str = ""        # the signing name: lambda, ec2, monitoring
    model: str = ""          # botocore's name of the service: lambda, ec2, cloudwatch
    operation: str = ""
    region: str = ""
    account: str = ""
    access_key: str = ""
    identity: dict = field(default_factory=dict)   # CloudTrail's userIdentity
    principal: str = ""      # its ARN
    function: str = ""       # the function whose role signed the call
    source_ip: str = "127.0.0.1"
    user_agent: str = ""
    console: bool = False
    request_id: str = ""
    host: str = ""
    params: dict = field(default_factory=dict)     # the request, in the API's own member names
    result: dict | None = None
    status: int = 0
    error_code: str = ""
    error_message: str = ""
    authorized: list = field(default_factory=list)  # (action, resource, allowed)
    raw: dict = field(default_factory=dict)         # the body and the form parameters, for condition keys
    denied: tuple | None = None                     # (action, resource) of the refusal
    fault: dict | None = None                       # what it is to suffer


current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("bench_call", default=None)
