"""The processes that functions run in."""
import threading
import uuid
import weakref

from ministack.core import lambda_runtime
from ministack.services import sts as sts_svc

_spawning = threading.local()
_by_key: weakref.WeakValueDictionary[str, lambda_runtime.Worker] = weakref.WeakValueDictionary()


def install() -> None:
    """Every process gets credentials of its own for its role, so that a call tells which one made it."""
    spawn, credentials_of = lambda_runtime.Worker._spawn, lambda_runtime.execution_credentials

    def spawned(self):
        _spawning.worker = self
        try:
            spawn(self)
        finally:
            _spawning.worker = None

    def execution_credentials(config):
        credentials = credentials_of(config)
        worker = getattr(_spawning, "worker", None)
        session = sts_svc._sessions.get(credentials["AWS_ACCESS_KEY_ID"])
        if worker is None or session is None:
            return credentials
        key = f"ASIA{uuid.uuid4().hex[:16].upper()}"
        _by_key[key] = worker
        sts_svc.register_session(key, dict(session))
        return {**credentials, "AWS_ACCESS_KEY_ID": key}

    lambda_runtime.Worker._spawn = spawned
    lambda_runtime.execution_credentials = execution_credentials


def running() -> list[str]:
    """The functions that are at work, each as often as it is; one that waits calls nothing for a while."""
    with lambda_runtime._lock:
        return sorted(worker.func_name for workers in lambda_runtime._workers.values() for worker in workers if worker.in_use)


def kill(access_key: str) -> bool:
    """End the process that signs with this key, as the kernel does when memory runs out. Whether there was one."""
    worker = _by_key.get(access_key)
    process = worker and worker._proc
    if process is None:
        return False
    process.kill()
    return True
