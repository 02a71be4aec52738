"""A private SLURM of one node on this machine, for the length of a `with` block. Needs root.

With accounts it has a slurmdbd and a MariaDB of its own, so that `sacct` answers. All of its state
is in one folder, it listens on loopback alone, and it ends with all of its jobs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from patience import STUCK_S, wait_for

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
MinJobAge={min_job_age_s}
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NO_ACCOUNTS = "AccountingStorageType=accounting_storage/none\n"
ACCOUNTS = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounts_port}
AccountingStoragePass={folder}/munge.sock
"""
ACCOUNTS_CONFIG = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounts_port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageUser=root
StorageLoc=accounts
"""
DAEMONS = ("slurmd", "slurmctld", "munged")
ACCOUNT_DAEMONS = ("slurmdbd", "mariadbd")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def private_slurm(
    folder: Path, max_array_size: int = 1001, *, min_job_age_s: int = 300, accounts: bool = False
) -> Iterator[dict[str, str]]:
    """Start SLURM with all its state in `folder`; give the environment that its commands need.

    Args:
        folder: a folder that is not there yet.
        max_array_size: tasks that an array may have.
        min_job_age_s: seconds after which `squeue` forgets jobs that have ended.
        accounts: whether `sacct` remembers them.
    """
    folder.mkdir(parents=True)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    about = {
        "host": socket.gethostname().partition(".")[0],
        "folder": folder,
        "max_array_size": max_array_size,
        "min_job_age_s": min_job_age_s,
        "control_port": _free_port(),
        "node_port": _free_port(),
        "accounts_port": _free_port(),
    }
    config = folder / "slurm.conf"
    config.write_text((CONFIG + (ACCOUNTS if accounts else NO_ACCOUNTS)).format(**about))
    accounts_config = folder / "slurmdbd.conf"
    accounts_config.write_text(ACCOUNTS_CONFIG.format(**about))
    accounts_config.chmod(0o600)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    # MYSQL_UNIX_PORT is where slurmdbd finds the database.
    own = {"SLURM_CONF": str(config), "MYSQL_UNIX_PORT": f"{folder}/database.sock"}
    environment = os.environ | own
    munge = ["munged", "--force", f"--key-file={key}", f"--socket={folder}/munge.sock"]
    munge += [f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log"]
    munge.append(f"--seed-file={folder}/munge.seed")
    with contextlib.ExitStack() as stack:
        stack.callback(_stop, folder, ("munged",))
        _run(munge, environment)
        if accounts:
            stack.enter_context(_database(folder, environment))
            stack.callback(_stop, folder, ("slurmdbd",))
            start_accounts(environment)
            _run(["sacctmgr", "-i", "-Q", "add", "cluster", "private"], environment, accept=True)
        stack.callback(_stop, folder, ("slurmd", "slurmctld"))
        stack.callback(_cancel_all, environment)
        for command in (["slurmctld", "-c"], ["slurmd"]):
            _run(command, environment)
        _wait_for(["sinfo", "-h", "-o", "%T"], environment, "idle")
        yield environment


def start_accounts(environment: dict[str, str]) -> None:
    """Start slurmdbd, for a start or after a test has ended it, and wait until it answers."""
    _run(["slurmdbd"], environment)
    _wait_for(["sacctmgr", "-n", "list", "cluster"], environment)


@contextlib.contextmanager
def _database(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Start a MariaDB that only this machine's root reaches, through a socket in the folder."""
    data = f"--datadir={folder}/database"
    shared = ["--no-defaults", "--user=root", data]
    install = ["mariadb-install-db", *shared, "--auth-root-authentication-method=normal"]
    _run([*install, "--skip-test-db"], environment)
    socket_file = environment["MYSQL_UNIX_PORT"]
    with (folder / "mariadbd.log").open("wb") as log:
        process = subprocess.Popen(
            ["mariadbd", *shared, f"--socket={socket_file}", "--skip-networking"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(
            ["mariadb-admin", "--no-defaults", f"--socket={socket_file}", "ping"], environment
        )
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _run(command: list[str], environment: dict[str, str], *, accept: bool = False) -> None:
    """Run a command that must succeed, or may fail with `accept`.

    What it prints goes to a file: a daemon would hold a pipe open for as long as it lives.
    """
    with tempfile.TemporaryFile("w+") as printed:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
            timeout=STUCK_S, check=False,
        )  # fmt: skip
        printed.seek(0)
        if done.returncode and not accept:
            raise RuntimeError(f"{command[0]} failed: {printed.read()[-2000:]}")


def _wait_for(command: list[str], environment: dict[str, str], answer: str | None = None) -> None:
    """Ask until a command succeeds, and prints this answer where one is given."""

    def answers() -> bool:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode == 0 and answer in (None, done.stdout.strip())

    wait_for(answers, f"answer of {command[0]}", every_s=0.1)


def _cancel_all(environment: dict[str, str]) -> None:
    """End all jobs: they would outlive the daemons."""
    while True:
        subprocess.run(
            ["scancel", "--user=root"],
            env=environment,
            capture_output=True,
            timeout=STUCK_S,
            check=False,
        )
        left = subprocess.run(
            ["squeue", "-h"], env=environment, capture_output=True, timeout=STUCK_S, check=False
        )
        if left.returncode or not left.stdout.strip():
            return
        time.sleep(0.1)


def _stop(folder: Path, names: Iterable[str]) -> None:
    """End the daemons that were started, by the process ids that they wrote down."""
    for name in names:
        file = folder / f"{name}.pid"
        if not file.is_file():
            continue
        pid = int(file.read_text())
        for number in [signal.SIGTERM] * 50 + [signal.SIGKILL]:
            if not _runs(pid):
                break
            os.kill(pid, number)
            time.sleep(0.1)


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended; init may be slow to take ended ones away."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
