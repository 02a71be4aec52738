"""A trainer of your own: it counts the tokens of its mixture and is measured on held-out code.

olmix launch calls it as: python train.py DATA_MANIFEST
"""

import glob
import json
import sys
from pathlib import Path

import numpy as np

import olmix.runlog

manifest = json.loads(Path(sys.argv[1]).read_text())
domains = {name: share for name, share in manifest["domains"].items() if share["weight"] > 0}
target = np.fromfile("data/validation/code.bin", manifest["dtype"])
run = olmix.runlog.start(num_steps=len(domains))
counts, seen, taken = np.ones(65536), 0, {}
for step, (name, domain) in enumerate(domains.items(), start=1):
    files = [file for pattern in domain["paths"] for file in sorted(glob.glob(pattern))]
    tokens = np.concatenate([np.fromfile(file, manifest["dtype"]) for file in files])
    taken[name] = round(domain["weight"] * manifest["max_tokens"])
    counts += np.bincount(np.resize(tokens, taken[name]), minlength=len(counts))
    bits = -np.log2(counts[target] / counts.sum()).mean()
    seen += taken[name]
    run.log(step, code_bits=bits, tokens=seen)
run.finish(code_bits=bits, token_shares={name: n / seen for name, n in taken.items()})
