"""A trainer of your own: it counts the tokens of its mixture and is measured on held-out code.

olmix launch calls it as: python train.py DATA_MANIFEST
"""

import sys

import numpy as np

import olmix.runlog
from olmix.mixing import Mixing

mixing = Mixing(sys.argv[1], context_length=64, batch_size=8)
target = np.fromfile("data/validation/code.bin", np.uint16)
run = olmix.runlog.start(num_steps=len(mixing))
counts = np.ones(65536)
for tokens in mixing:
    counts += np.bincount(tokens[:, 1:].ravel(), minlength=len(counts))
    if mixing.step % 50 == 0 or mixing.step == len(mixing):
        bits = -np.log2(counts[target] / counts.sum()).mean()
        run.log(mixing.step, code_bits=bits, tokens=mixing.step * tokens[:, 1:].size)
run.finish(code_bits=bits, token_shares=mixing.plan.token_shares)
