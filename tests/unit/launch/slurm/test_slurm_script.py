import shlex
import shutil
import subprocess

import pytest

from olmix.config import LaunchConfig, SlurmInfra
from olmix.errors import ConfigError, DataError, LaunchError
from olmix.launch.command_runs import CommandRun
from olmix.launch.group_plan import Group
from olmix.launch.slurm.engine import SlurmEngine
from olmix.launch.slurm.script import render_chunks, submit_words
from olmix.records.group import Job

GOLDEN = """\
#!/usr/bin/env bash
# Olmix group swarm: task N trains the run in line N + 1 of
# TASKS, and leaves everything in the folder of that run.
#SBATCH --job-name=olmix-swarm
#SBATCH --array=0-2%2
#SBATCH --output=ROOT/slurm/logs/%A_%a.log
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --account=lab
#SBATCH --partition=gpu
#SBATCH --qos=long
#SBATCH --constraint="a100|h100"
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

set -euo pipefail
cd ROOT
line=$((${SLURM_ARRAY_TASK_ID:?submit this script with sbatch} + 1))
run=$(sed -n "${line}p" slurm/TASKS)

module load cuda/12.4
export PATH=/opt/venv/bin:"$PATH"
export HF_HOME=/scratch/hf
ulimit -n 4096

echo "$run on $(hostname), $(date)"
python -m olmix.train.run_one "$PWD/$run" &
child=$!
expired=no
trap 'kill -TERM "$child"' TERM
trap 'expired=yes; kill -TERM "$child"' USR1 # the time limit is near
while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
status=0; wait "$child" || status=$?
if [ "$expired" = yes ] && grep -q '"state": "pending"' "$run/status.json"; then
  scontrol requeue "$SLURM_JOB_ID" && exec sleep 60 # resume later
fi
exit "$status"
"""
FULL = {
    "account": "lab",
    "partition": "gpu",
    "qos": "long",
    "constraint": "a100|h100",
    "time": "04:00:00",
    "mem": "64G",
    "cpus": 8,
    "gpus": 1,
    "array_limit": 2,
    "modules": ["cuda/12.4"],
    "venv": "/opt/venv",
    "setup": "export HF_HOME=/scratch/hf\nulimit -n 4096\n",
}
RUNS = ("a-0000", "a-0001", "a-0002")
COMMAND = {"trainer": "command", "command": "train {config}", "max_tokens": 100}
OLMO = {"trainer": "olmo_core", "proxy_model_id": "olmo3_14m", "max_tokens": 100}


def infra(**given):
    return SlurmInfra.from_dict({"backend": "slurm", **given})


def group(training=COMMAND):
    data = {"sources": [{"name": "a", "paths": ["a.bin"]}]}
    evaluation = {"type": "inloop", "tasks": {"code": {"x": "eval/x"}}}
    plain = {"training": training, "data": data, "eval": evaluation, "mix": {"a": 1.0}}
    runs = tuple(LaunchConfig.from_dict({"name": name, **plain}) for name in RUNS)
    return Group.of("swarm", runs)


def script(folder, training=COMMAND, **given):
    (chunk,) = render_chunks(infra(**given), group(training), folder, RUNS)
    return chunk.script


def check(text, tmp_path):
    """Let bash and shellcheck read a script."""
    file = tmp_path / "script.sh"
    file.write_text(text)
    subprocess.run(["bash", "-n", str(file)], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_array_script_is_readable_and_complete(tmp_path):
    (chunk,) = render_chunks(infra(**FULL), group(), tmp_path, RUNS)
    expected = GOLDEN.replace("TASKS", chunk.tasks_file.name).replace("ROOT", str(tmp_path))
    assert chunk.script == expected
    assert chunk.tasks == "a-0000\na-0001\na-0002\n"


@pytest.mark.parametrize(
    "given",
    [
        {},
        FULL,
        {"container": "image with space.sif", "gpus": 2},
        {"container": "docker://x/y:1", "container_runtime": "pyxis", "requeue": False},
    ],
    ids=["bare", "full", "apptainer", "pyxis"],
)
@pytest.mark.parametrize("training", [COMMAND, {**OLMO}], ids=["command", "olmo_core"])
def test_scripts_are_clean_for_bash_and_shellcheck(given, training, tmp_path):
    check(script(tmp_path, training, **given), tmp_path)


@pytest.mark.parametrize("name", ["with space", 'it\'s $HOME `x` "q"', "-n", "ünïcode"])
def test_any_folder_is_entered_and_the_run_of_the_task_is_started(name, tmp_path):
    folder = tmp_path / name
    (chunk,) = render_chunks(infra(python="./fake", requeue=False), group(), folder, RUNS)
    (folder / "slurm").mkdir(parents=True)
    chunk.tasks_file.write_text(chunk.tasks)
    (folder / "fake").write_text('#!/bin/sh\nprintf "%s" "$3" > trained\n')
    (folder / "fake").chmod(0o755)
    subprocess.run(["bash", "-c", chunk.script], check=True, env={"SLURM_ARRAY_TASK_ID": "1"})
    assert (folder / "trained").read_text() == str(folder / "a-0001")
    check(chunk.script, tmp_path)


def test_a_script_without_sbatch_says_how_to_use_it(tmp_path):
    words = ["bash", "-c", script(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "submit this script with sbatch" in done.stderr


def test_larger_groups_are_split_and_the_limit_holds_over_all_parts(tmp_path):
    asked = infra(max_array_size=2, array_limit=2, dependency="afterok:7")
    first, second = render_chunks(asked, group(), tmp_path, RUNS)
    assert (first.runs, second.runs) == (RUNS[:2], RUNS[2:])
    assert "--array=0-1%2\n" in first.script
    assert "--array=0-0%2\n" in second.script
    assert submit_words(asked, first, None)[2:4] == [
        "--dependency=afterok:7",
        "--kill-on-invalid-dep=yes",
    ]
    assert "--dependency=afterok:7,afterany:41" in submit_words(asked, second, "41")
    # Without a limit there is nothing to wait for.
    free = infra(max_array_size=2)
    assert submit_words(free, second, "41") == ["sbatch", "--parsable", str(second.script_file)]


def test_other_runs_have_another_list_so_that_waiting_tasks_keep_theirs(tmp_path):
    (whole,) = render_chunks(infra(), group(), tmp_path, RUNS)
    (part,) = render_chunks(infra(), group(), tmp_path, RUNS[:2])
    assert whole.tasks_file != part.tasks_file
    assert whole.script_file != part.script_file


def test_no_signal_is_asked_for_where_there_is_no_limit_to_warn_of(tmp_path):
    assert "--signal" not in script(tmp_path)
    assert "--signal" not in script(tmp_path, time="10", signal_s=0)
    assert "--signal=B:USR1@30" in script(tmp_path, time="10", signal_s=30)


def test_several_gpus_start_olmo_core_under_torchrun_and_a_command_as_it_is(tmp_path):
    one = script(tmp_path, OLMO, gpus=8)
    assert "torch.distributed.run --nproc-per-node=8 --standalone -m olmix.train.run_one" in one
    many = script(tmp_path, OLMO, gpus=8, nodes=2, venv="/v")
    assert "srun python -m torch.distributed.run --nproc-per-node=8 --nnodes=2" in many
    assert "torch" not in script(tmp_path, COMMAND, gpus=8)
    assert "torch" not in script(tmp_path, OLMO, gpus=1)
    check(many, tmp_path)


def test_gpus_may_have_a_type_and_may_be_asked_for_as_gres(tmp_path):
    typed = script(tmp_path, OLMO, gpus="h100:4")
    assert "#SBATCH --gpus-per-node=h100:4\n" in typed
    assert "--nproc-per-node=4" in typed
    assert "--nproc-per-node=2" in script(tmp_path, OLMO, gres="tmp:1,gpu:h100:2")
    assert "torch" not in script(tmp_path, OLMO, gres="gpu:h100")


def test_runs_have_the_python_that_launches_them_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/my env/bin/python3")
    assert "'/my env/bin/python3' -m olmix.train.run_one" in script(tmp_path)
    for said in ({"venv": "/v"}, {"conda": "c"}, {"container": "a.sif"}, {"ssh": "me@login"}):
        assert "python -m olmix.train.run_one" in script(tmp_path, **said)
        assert "my env" not in script(tmp_path, **said)
    assert "/own/python -m olmix" in script(tmp_path, python="/own/python", venv="/v")


def test_a_sweep_finds_its_commands_where_it_was_launched(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.prefix", "/envs/tune")
    run = CommandRun("run_000", ("tune", "run"), tmp_path, "h", {})
    (chunk,) = render_chunks(infra(), Group("g", (run,), infra()), tmp_path, ["run_000"])
    assert 'export PATH=/envs/tune/bin:"$PATH"\n' in chunk.script
    assert "export PATH" not in script(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("time", "1h", "minutes (90), or HH:MM:SS (12:00:00), or days and hours"),
        ("time", "abc", "is needed"),
        ("time", "-5", "is needed"),
        ("time", "1:2:3:4", "is needed"),
        ("mem", "64 GB", "such as 64G"),
        ("mem", "-5", "such as 64G"),
        ("gpus", "many", "such as h100:1"),
        ("gpus", -1, "such as h100:1"),
        ("account", "lab\ntouch pwned #", "a line break is not allowed"),
        ("constraint", 'x" --uid=0 "y', 'a quotation mark (") is not allowed'),
        ("partition", "a\x00b", r"'\x00' is not allowed"),
        ("qos", " ", "text is needed"),
        ("ssh", "-oProxyCommand=x", "an option of ssh"),
    ],
)
def test_what_slurm_cannot_read_or_would_take_for_more_is_refused(key, value, said):
    with pytest.raises(ConfigError) as error:
        infra(**{key: value})
    assert said in str(error.value)
    assert f"{key}: found" in str(error.value)


@pytest.mark.parametrize("time", [90, "90", "12:00:00", "1-12", "1-12:30:00", "UNLIMITED"])
def test_times_as_slurm_reads_them(time):
    assert infra(time=time).time == str(time)


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("50% of it", "50%% of it"),
        ("per%a", "per%%a"),
        ('it\'s "q" $HOME', 'it\'s \\"q\\" $HOME'),
        ("my # runs", "my # runs"),
    ],
)
def test_logs_go_into_folders_of_any_name(name, escaped, tmp_path):
    assert f"/{escaped}/slurm/logs/%A_%a.log" in script(tmp_path / name)


@pytest.mark.parametrize("name", ["back\\slash", "two\nlines"])
def test_folders_that_slurm_cannot_log_to_are_refused(name, tmp_path):
    with pytest.raises(DataError, match="SLURM cannot keep logs"):
        script(tmp_path / name)


def test_a_container_sees_the_folder_of_the_group(tmp_path):
    text = script(tmp_path, container="olmix.sif", gpus=1)
    assert 'apptainer exec --nv --bind="$PWD" olmix.sif python -m olmix.train.run_one' in text
    text = script(tmp_path, container="a/b", container_runtime="pyxis")
    assert 'srun --container-image=a/b --container-mounts="$PWD:$PWD" python -m' in text


def test_a_preview_shows_the_scripts_the_tasks_and_the_commands_and_calls_nobody(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", "")
    asked = infra(max_array_size=2, array_limit=1, ssh="me@login")
    shown = SlurmEngine(asked).render(group(), tmp_path, RUNS)
    for chunk in render_chunks(asked, group(), tmp_path, RUNS):
        assert chunk.script in shown
        assert chunk.tasks in shown
    assert shown.count("$ ssh -o BatchMode=yes me@login") == 2
    assert "afterany:JOB_1" in shown
    assert not list(tmp_path.iterdir())
    assert shlex.quote(str(tmp_path)) in shown


def job(number, runs, **known):
    return Job(number, tuple(runs), group="swarm", **known)


def engine_that_hears(monkeypatch, name="olmix-swarm", **answers):
    """Return an engine whose commands print what is given here, and the commands it has given.

    Args:
        monkeypatch: replaces what asks SLURM.
        name: of all jobs that `squeue` and `sacct` tell of, as the last column.
        answers: by command.
    """
    engine = SlurmEngine(infra())
    engine.said = []

    def answer(*words, **_):
        engine.said.append(words)
        command = next((command for command in answers if command in words), None)
        text = answers.get(command, "")
        if command not in ("squeue", "sacct"):
            return text
        return "".join(f"{line}|{name}\n" for line in text.splitlines())

    monkeypatch.setattr(engine, "_ask", answer)
    return engine


def test_words_of_slurm_are_told_in_ours(monkeypatch):
    queue = "9|0|RUNNING|None\n9|1|PENDING|Resources\n9|2|PENDING|DependencyNeverSatisfied\n"
    accounts = "9_3|COMPLETED\n9_4|OUT_OF_MEMORY\n9_5|CANCELLED by 0\n9_0|PREEMPTED\n"
    engine = engine_that_hears(monkeypatch, squeue=queue, sacct=accounts)
    states = engine.states([job("9", tuple("abcdefg"))])
    assert {run: found.state for run, found in states.items()} == {
        "a": "running",
        "b": "pending",
        "c": "cancelled",
        "d": "finished",
        "e": "failed",
        "f": "cancelled",
    }
    assert states["e"].note == "OUT_OF_MEMORY"


@pytest.mark.parametrize("word", ["REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "STOPPED"])
def test_a_job_that_is_held_in_the_queue_has_not_failed(monkeypatch, word):
    engine = engine_that_hears(monkeypatch, squeue=f"9|0|{word}|None\n")
    assert engine.states([job("9", ("a",))])["a"].state == "pending"


def test_tasks_that_were_cancelled_together_share_a_row_of_the_accounts(monkeypatch):
    accounts = "9_1|COMPLETED\n9_[1-3,5,7-11:2%4]|CANCELLED by 1000\n9_[0,12-14]|PENDING\n"
    engine = engine_that_hears(monkeypatch, sacct=accounts)
    states = engine.states([job("9", tuple(map(str, range(16))))])
    cancelled = [run for run, found in states.items() if found.state == "cancelled"]
    assert cancelled == ["2", "3", "5", "7", "9", "11"]
    # Task 1 started after the list was made. Others wait to the accounts alone: they are gone.
    assert states["1"].state == "finished"
    assert len(states) == 7


def test_what_the_queue_has_forgotten_does_not_run_whatever_the_accounts_say(monkeypatch):
    accounts = "9_0|RUNNING\n9_1|REQUEUED\n9_2|PENDING\n9|PENDING\n9_3|TIMEOUT\n"
    states = engine_that_hears(monkeypatch, sacct=accounts).states([job("9", tuple("abcd"))])
    assert {run: found.note for run, found in states.items()} == {"d": "TIMEOUT"}


def test_accounts_that_do_not_answer_are_done_without(monkeypatch, tmp_path, caplog):
    for name, script in {
        "squeue": 'echo "9|0|RUNNING|None|olmix-swarm"',
        "sacct": "exec sleep 60",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("olmix.launch.slurm.engine._ACCOUNTS_TIMEOUT_S", 0.2)
    with caplog.at_level("INFO"):
        states = SlurmEngine(infra()).states([job("9", ("a", "b"))])
    assert {run: found.state for run, found in states.items()} == {"a": "running"}
    assert "no accounts" in caplog.text


def test_of_two_jobs_that_carried_out_a_run_the_last_one_counts(monkeypatch):
    engine = engine_that_hears(monkeypatch, squeue="5|0|FAILED|None\n6|0|RUNNING|None\n")
    assert engine.states([job("5", ("a",)), job("6", ("a",))])["a"].state == "running"


def test_a_slurm_that_does_not_answer_is_an_error_and_not_an_empty_queue(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LaunchError, match="set infra.ssh to its login node"):
        SlurmEngine(infra()).states([job("5", ("a",))])


def test_an_answer_of_sbatch_that_is_no_number_is_an_error(monkeypatch, tmp_path):
    jobs = engine_that_hears(monkeypatch, sbatch="welcome\n").submit(group(), tmp_path, RUNS)
    with pytest.raises(LaunchError, match="expected a job number"):
        list(jobs)
    (job,) = engine_that_hears(monkeypatch, sbatch="welcome\n12;one\n").submit(
        group(), tmp_path, RUNS
    )
    assert (job.id, job.runs) == ("12", RUNS)
    assert (job.group, job.cluster) == ("swarm", None)


def commands(engine, name):
    return [words for words in engine.said if name in words]


def test_a_job_of_another_name_is_told_and_left_alone(monkeypatch, caplog):
    """Its number came back: a controller counted anew, or the folder was copied."""
    queue = "5|0|RUNNING|None"
    engine = engine_that_hears(monkeypatch, name="somebody-elses", squeue=queue)
    assert engine.states([job("5", ("a",))]) == {}
    engine.cancel([job("5", ("a",))])
    assert commands(engine, "scancel") == []
    assert "job 5 is called somebody-elses, and this group's are olmix-swarm" in caplog.text
    # So it is with jobs that only the accounts remember.
    engine = engine_that_hears(monkeypatch, name="somebody-elses", sacct="5_0|COMPLETED")
    assert engine.states([job("5", ("a",))]) == {}


@pytest.mark.parametrize("number", ["--user=root", "-1", "1,2", "1_0", "0", "", "\u0665", "5 6"])
def test_what_is_no_number_of_a_job_never_reaches_slurm(monkeypatch, caplog, number):
    engine = engine_that_hears(monkeypatch)
    engine.cancel([job(number, ("a",))])
    assert engine.states([job(number, ("a",))]) == {}
    assert not any(number in " ".join(words) for words in engine.said if number)
    assert engine.said == []
    assert "is not a SLURM job number" in caplog.text


def test_a_job_of_another_cluster_is_told_and_left_alone(monkeypatch, caplog):
    engine = engine_that_hears(
        monkeypatch, scontrol="ClusterName             = here", squeue="5|0|RUNNING|None"
    )
    there, here = job("5", ("a",), cluster="there"), job("5", ("b",), cluster="here")
    assert list(engine.states([there, here])) == ["b"]
    engine.cancel([there])
    assert commands(engine, "scancel") == []
    assert "job 5 is on the cluster there, and this is here" in caplog.text


def test_jobs_are_cancelled_by_number_and_name_if_the_queue_has_them(monkeypatch):
    engine = engine_that_hears(monkeypatch, squeue="5|0|RUNNING|None\n6|0|PENDING|None")
    engine.cancel([job("5", ("a",)), job("6", ("b",)), job("7", ("c",))])
    assert commands(engine, "scancel") == [("scancel", "--name=olmix-swarm", "--", "5", "6")]
    engine.cancel([])


def test_logs_are_found_in_folders_of_any_name_and_begin_with_why_a_task_failed(tmp_path):
    folder = tmp_path / "my 100% #runs?" / "logs"
    folder.mkdir(parents=True)
    ran = job("7", ("a", "b"), url=folder.as_uri())
    engine = SlurmEngine(infra())
    with pytest.raises(LaunchError, match="b: its task has not started"):
        engine.logs(ran, "b")
    assert engine.first_lines(ran, "b") == ""
    text = "b on node1, today\n\npython: No module named olmix\nstatus 1\n"
    (folder / "7_1.log").write_text(text)
    assert engine.logs(ran, "b") == text
    assert engine.first_lines(ran, "b") == "python: No module named olmix | status 1"


def test_arrays_that_the_cluster_does_not_take_are_refused_before_anything_is_written(
    monkeypatch, tmp_path
):
    engine = engine_that_hears(monkeypatch, scontrol="MaxArraySize            = 2")
    with pytest.raises(LaunchError, match="Set infra.max_array_size to 2"):
        engine.check(group(), tmp_path / "g", RUNS)
    assert not (tmp_path / "g").exists()
