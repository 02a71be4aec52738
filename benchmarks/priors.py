"""Time counting tokens in a bucket: `python benchmarks/priors.py [OBJECTS]`.

A real S3 server (SeaweedFS) on loopback holds OBJECTS small objects over nested prefixes. Compared
are: the pages of the server's own listing, asked for one after the other and not even read;
`olmix priors compute` without cache; and a listing with one HEAD for each object.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from olmix.config import DataConfig
from olmix.priors import count_domains
from servers import KEY, SECRET, make_bucket, s3_client, s3_server, signed

TOPICS = 8


def fill(endpoint: str, count: int) -> None:
    """Put the objects: 4 sources, 8 topics each, folders of 50 objects."""
    make_bucket(endpoint, "tokens")
    store = s3_client(endpoint, "tokens")
    keys = [
        f"s{i % 4}/t{i // 4 % TOPICS}/{i // (4 * TOPICS * 50):04}/part-{i:06}.npy"
        for i in range(count)
    ]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"\0" * 64), keys))


def pages(endpoint: str) -> float:
    """Return the seconds of the server's own listing, page after page."""
    started = time.perf_counter()
    token = ""
    while True:
        query = f"continuation-token={urllib.parse.quote(token, safe='')}&" if token else ""
        query += "list-type=2"
        with urllib.request.urlopen(signed(endpoint, "GET", "/tokens", query)) as answer:
            body = answer.read().decode()
        found = re.search("<NextContinuationToken>(.*?)</", body)
        if found is None:
            return time.perf_counter() - started
        token = found[1]


def ours(endpoint: str, count: int, patterns: list[str]) -> float:
    """Return the seconds that counting takes."""
    sources = [{"name": f"d{i}", "paths": [pattern]} for i, pattern in enumerate(patterns)]
    data = DataConfig.from_dict({"sources": sources, "storage": {"s3": {"endpoint": endpoint}}})
    started = time.perf_counter()
    counts = count_domains(data).domains
    seconds = time.perf_counter() - started
    assert sum(entry.num_tokens for entry in counts) == 16 * count
    return seconds


def heads(endpoint: str, workers: int) -> float:
    """Return the seconds of a listing and a HEAD for each object."""
    store = s3_client(endpoint, "tokens")
    started = time.perf_counter()
    keys = [entry["path"] for chunk in store.list(chunk_size=10_000) for entry in chunk]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(store.head, keys))
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OLMIX_CACHE_DIR"] = folder
        with s3_server(Path(folder) / "s3") as endpoint:
            fill(endpoint, count)
            listing = min(pages(endpoint) for _ in range(3))
            whole = min(ours(endpoint, count, ["s3://tokens/**/*.npy"]) for _ in range(3))
            topics = [f"s3://tokens/s{i}/t{j}/**/*.npy" for i in range(4) for j in range(TOPICS)]
            many = min(ours(endpoint, count, topics) for _ in range(3))
            side_by_side, one_by_one = heads(endpoint, 16), heads(endpoint, 1)
    print(f"{count:,} objects, {os.cpu_count()} cores")
    print(f"{'what':<44}{'seconds':>9}{'of the listing':>16}")
    for name, seconds in (
        ("the server's own listing", listing),
        ("olmix priors, one domain", whole),
        (f"olmix priors, {len(topics)} domains", many),
        ("listing and HEADs, 16 at once", side_by_side),
        ("listing and HEADs, one by one", one_by_one),
    ):
        print(f"{name:<44}{seconds:>9.2f}{seconds / listing:>16.2f}")


if __name__ == "__main__":
    main()
