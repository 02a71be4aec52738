"""One file of each kind that people keep tokens and texts in, built from the same planted ids."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import struct
from io import BytesIO
from pathlib import Path

import numpy as np

from byte_tokens import byte_tokenizer

IDS = np.random.default_rng(0).integers(1, 50_000, 500)
TEXTS = ["abc", "", "déjà vu", "line\u2028separators\n"]
NUM_BYTES = sum(len(text.encode()) for text in TEXTS)
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}

Files = dict[str, bytes]
"""The content of a file, and of those beside it, by name; the first is the one that is counted."""


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer of bytes that the `tokenizers` library reads."""
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor"))
    rest = {"version": "1.0", "pre_tokenizer": LEVEL, "decoder": LEVEL, "added_tokens": []}
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**byte_tokenizer(), **empty, **rest}))
    return file


def raw(dtype: str = "uint16", ending: str = "bin") -> Files:
    return {f"x.{ending}": IDS.astype(dtype).tobytes()}


def npy(dtype: str = "uint16") -> Files:
    stream = BytesIO()
    np.save(stream, IDS.astype(dtype))
    return {"x.npy": stream.getvalue()}


def megatron(code: int = 8, dtype: str = "uint16") -> Files:
    """Two sequences, each a document."""
    lengths = (200, len(IDS) - 200)
    width = np.dtype(dtype).itemsize
    head = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, code, 2, 3)
    index = head + struct.pack("<iiqqqqq", *lengths, 0, 200 * width, 0, 1, 2)
    return {"x.bin": IDS.astype(dtype).tobytes(), "x.idx": index}


def datatrove(dtype: str = "uint16", first: str = "gpt2|2", count: int = len(IDS)) -> Files:
    metadata = f"{first}\n{count}\n500 T".encode()
    return {"x.ds": IDS.astype(dtype).tobytes(), "x.ds.metadata": metadata}


def parquet(column: object = None, name: str = "input_ids") -> Files:
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = [IDS[:100].tolist(), [], IDS[100:].tolist()] if column is None else column
    stream = BytesIO()
    pq.write_table(pa.table({name: values}), stream)
    return {"x.parquet": stream.getvalue()}


def arrow(values: list, kind: str) -> object:
    """Return lists of ids as a column of a type that Python lists do not become by themselves."""
    import pyarrow as pa

    kinds = {
        "list": pa.list_(pa.int32()),
        "fixed": pa.list_(pa.int32(), 2),
        "large": pa.large_list(pa.uint16()),
    }
    return pa.array(values, kinds[kind])


def json_lines(packing: str = "", name: str = "x.jsonl") -> Files:
    lines = "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in TEXTS).encode()
    return {name + packing: pack(lines, packing)}


def pack(content: bytes, packing: str) -> bytes:
    if packing == ".zst":
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        return sink.getvalue().to_pybytes()
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, "": bytes}
    return pack[packing](content)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Return a content with a few bytes changed, cut out, added or cut off."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(data)) if data else 0
        action = rng.choice(["flip", "set", "cut", "insert", "end", "move"])
        if action == "flip" and data:
            data[at] ^= 1 << rng.randrange(8)
        elif action == "set" and data:
            data[at : at + 4] = rng.randbytes(4)
        elif action == "cut":
            del data[at : at + rng.randrange(1, 40)]
        elif action == "insert":
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif action == "end":
            del data[at:]
        else:
            data = data[at:] + data[:at]
    return bytes(data)
