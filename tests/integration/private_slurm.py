"""A private SLURM of one node on this machine, for the length of a `with` block. Needs root."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CONFIG = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
MaxArraySize={max_array_size}
KillWait=5
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
DAEMONS = ("slurmd", "slurmctld", "munged")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def private_slurm(folder: Path, max_array_size: int = 1001) -> Iterator[dict[str, str]]:
    """Start SLURM with all its state in `folder`; give the environment that its commands need."""
    folder.mkdir(parents=True)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    ports = {"control_port": _free_port(), "node_port": _free_port()}
    config = folder / "slurm.conf"
    about = {"host": host, "folder": folder, "max_array_size": max_array_size}
    config.write_text(CONFIG.format(**about, **ports))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    environment = os.environ | {"SLURM_CONF": str(config)}
    munge = ["munged", "--force", f"--key-file={key}", f"--socket={folder}/munge.sock"]
    munge += [f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log"]
    munge.append(f"--seed-file={folder}/munge.seed")
    try:
        for command in (munge, ["slurmctld", "-c"], ["slurmd"]):
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=30)
        _wait_until_idle(environment)
        yield environment
    finally:
        _stop(folder)


def _wait_until_idle(environment: dict[str, str]) -> None:
    for _ in range(300):
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%T"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.1)
    raise TimeoutError(f"the private SLURM does not come up: {done.stdout} {done.stderr}")


def _stop(folder: Path) -> None:
    """End the daemons that were started, by the process ids that they wrote down."""
    for name in DAEMONS:
        file = folder / f"{name}.pid"
        if not file.is_file():
            continue
        pid = int(file.read_text())
        for _ in range(50):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                break
            time.sleep(0.1)
