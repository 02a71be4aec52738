"""A tiny project for the trainer's tests: texts as bytes, a byte-level tokenizer, run folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from byte_tokens import EOS, byte_tokenizer
from olmix.config import LaunchConfig
from olmix.records.run import RunFolder
from olmix.text.yaml import write_yaml

VOCAB_SIZE = 257

TINY = {
    "max_tokens": 2560,
    "d_model": 16,
    "num_heads": 2,
    "context_length": 16,
    "batch_size": 4,
    "log_interval": 8,
    "checkpoint_interval_s": 0.0,
}
"""40 steps of a model that trains in a moment."""


def write_words(path, seed, num_tokens, letters):
    """Documents of random words over a few letters, each ended by EOS, as uint16."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice(np.frombuffer(letters.encode(), np.uint8), num_tokens).astype(np.uint16)
    tokens[rng.random(num_tokens) < 0.01] = EOS
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens.tofile(path)
    return path


class Project:
    """Token files of two domains and a held-out one, and run folders over them."""

    def __init__(self, root):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.tokenizer = self.root / "tokenizer.json"
        self.tokenizer.write_text(json.dumps(byte_tokenizer()))
        self.code = write_words(self.root / "code.bin", 1, 6000, "{}();=abc ")
        self.prose = write_words(self.root / "prose.bin", 2, 4000, "etaoin shrdlu")
        self.target = write_words(self.root / "target.bin", 3, 700, "etaoin ();")

    def plain(self, name="run", weights=(0.6, 0.4), **training):
        """A launch config as a mapping."""
        return {
            "name": name,
            "training": {"trainer": "proxy", **TINY, **training},
            "data": {
                "sources": [
                    {"name": "code", "paths": [str(self.code)]},
                    {"name": "prose", "paths": [str(self.prose)]},
                ],
                "dtype": "uint16",
                "tokenizer": str(self.tokenizer),
            },
            "eval": {
                "type": "validation",
                "paths": {"target": [str(self.target)], "prose": [str(self.prose)]},
                "max_tokens": 640,
            },
            "mix": {
                "code": {"weight": weights[0], "repetition_factor": 2.0},
                "prose": {"weight": weights[1], "repetition_factor": 2.0},
            },
        }

    def config(self, **changes):
        return LaunchConfig.from_dict(self.plain(**changes))

    def folder(self, name="run", **changes):
        folder = RunFolder(self.root / "runs" / name)
        folder.path.mkdir(parents=True, exist_ok=True)
        write_yaml(folder.config, self.plain(name, **changes))
        return folder
