"""Starts the emulated AWS account that the tests run against.

    .venv/emulator/bin/python test/emulator/server.py --port 0 [--log FILE] [--stay]

One JSON line on standard output says where it is and with which keys the account's root user signs. The server ends when its
standard input closes, so that no test leaves one behind; --stay keeps it until it is killed.
"""
import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading

ACCOUNT = "111122223333"
REGION = "us-east-1"
ROOT_KEY = "AKIAROOTOFTHEBENCH00"
ROOT_SECRET = "the-root-user-of-the-bench-is-no-secret0"


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--log", default="", help="file for the logs; nothing is logged without it")
    parser.add_argument("--level", default="INFO", help="log level")
    parser.add_argument("--stay", action="store_true", help="outlive the parent process")
    parser.add_argument("--plain", action="store_true", help="the emulator as it is, without the bench's corrections")
    return parser.parse_args()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment(port: int, level: str, scratch: str) -> None:
    """MiniStack reads its settings when it is imported. Variables of the caller's AWS session must not reach the functions."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MINISTACK_", "LOCALSTACK_", "LAMBDA_")) or name in ("SERVICES", "EDGE_PORT", "PERSIST_STATE"):
            del os.environ[name]
    os.environ.update({
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        # Addresses in answers (queue URLs, code locations) name the loopback interface: "localhost" may resolve to ::1.
        "MINISTACK_HOST": "127.0.0.1",
        "BIND_HOST": "127.0.0.1",
        "LOG_LEVEL": level,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "S3_DATA_DIR": os.path.join(scratch, "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": "unix:///nonexistent",
        "CLOUDTRAIL_RECORDING": "0",
        "TMPDIR": scratch,
    })
    tempfile.tempdir = scratch


def _end_with_parent(stop: threading.Event) -> None:
    def wait():
        try:
            while sys.stdin.buffer.read(4096):
                pass
        except (OSError, ValueError):
            pass
        stop.set()
    threading.Thread(target=wait, daemon=True).start()


async def _serve(port: int, plain: bool, stop: threading.Event) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    if plain:
        from ministack.app import app
    else:
        import gaps
        from bench import cloudtrail, faults, operations, wire, workers
        wire.ACCOUNT, wire.REGION = ACCOUNT, REGION
        gaps.apply()
        workers.install()
        faults.install()
        cloudtrail.open_trail(ACCOUNT, REGION)
        app = wire.app
        threading.Thread(target=operations.preload, daemon=True).start()

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.loglevel = "ERROR"
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = 0.2

    shutdown = asyncio.Event()

    async def watch():
        while not stop.is_set():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.02)
        print(json.dumps({
            "endpoint": f"http://127.0.0.1:{port}", "account": ACCOUNT, "region": REGION,
            "accessKeyId": ROOT_KEY, "secretAccessKey": ROOT_SECRET,
        }), flush=True)
        await asyncio.to_thread(stop.wait)
        shutdown.set()

    watcher = asyncio.create_task(watch())
    try:
        await serve(app, config, shutdown_trigger=shutdown.wait)
    finally:
        stop.set()
        watcher.cancel()


def main() -> None:
    arguments = _arguments()
    port = arguments.port or _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        _environment(port, arguments.level.upper() if arguments.log else "CRITICAL", scratch)
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        handlers = [logging.FileHandler(arguments.log, mode="w")] if arguments.log else [logging.NullHandler()]
        logging.basicConfig(level=arguments.level.upper(), handlers=handlers, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if not arguments.stay:
            _end_with_parent(stop)
        try:
            asyncio.run(_serve(port, arguments.plain, stop))
        finally:
            _end_workers()


def _end_workers() -> None:
    """Functions run in processes of their own: end those that this server started."""
    runtime = sys.modules.get("ministack.core.lambda_runtime")
    if runtime is not None:
        runtime.reset()


if __name__ == "__main__":
    main()
    os._exit(0)
