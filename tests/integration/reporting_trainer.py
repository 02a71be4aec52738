"""A trainer for tests of the engines: it learns nothing, and does what files tell it to.

    python reporting_trainer.py MIX_JSON SEED

`hold` beside the group's folders makes it wait until the file is gone, `hold-RUN` one run alone,
`break-RUN` makes a run fail. It goes on from `state.json`, which it writes when it is told to stop.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

run = Path(os.environ["OLMIX_RUN_DIR"])
root = run.parent.parent
state = run / "state.json"
signal.signal(signal.SIGTERM, lambda *_: (state.write_text("1"), sys.exit(0)))

mix = json.loads(Path(sys.argv[1]).read_text())
first = int(state.read_text()) if state.exists() else 0
with (run / "starts").open("a") as starts:
    starts.write(f"{first} {time.time()}\n")
if (root / f"break-{run.name}").exists():
    sys.stderr.write("the loss is no number\n")
    sys.exit(3)
with (run / "metrics.jsonl").open("a") as log:
    for step in range(first, 2):
        log.write(json.dumps({"step": step + 1, "num_steps": 2, "loss": 1 / (step + 1)}) + "\n")
        log.flush()
        while (root / "hold").exists() or (root / f"hold-{run.name}").exists():
            time.sleep(0.05)
    value = sum(share["weight"] * (i + 1) for i, share in enumerate(mix.values()))
    log.write(json.dumps({"step": 2, "score": value + int(sys.argv[2])}) + "\n")
with (run / "starts").open("a") as starts:
    starts.write(f"end {time.time()}\n")
