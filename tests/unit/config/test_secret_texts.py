"""What counts as a secret in a text, and that configs refuse it without repeating it."""

from __future__ import annotations

import json
import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.config import BeakerInfra, CommandTraining, DataConfig, LaunchConfig, SlurmInfra
from olmix.config.infra import InfraConfig
from olmix.errors import ConfigError
from olmix.text.secrets import find_secrets, judge, redact

KEY = "hf_abcdefghijklmnopqrstuvwxyz0123456789"
HEX = "7f3a9b8c6d5e4f3a2b1c0d9e8f7a6b5c"
BASE62 = "aB3xK9mQ2wRt7Lz0pYcV5nH8"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train --api-key s3cr3t", "--api-key looks like a secret (its name)"),
        ("train --api-key s3cr3t", "--api-key"),
        ("train --hf_token=s3cr3t", "--hf_token"),
        ('train --password "s3cr3t and more"', "--password"),
        ("train --password=s3cr3t;b", "--password"),
        ("train --password s3cr3t$ecret", "--password"),
        ("train --auth-token s3cr3t --use_auth_token s3cr3t", "--use_auth_token"),
        ("bash -c 'WANDB_API_KEY=s3cr3t python train.py'", "WANDB_API_KEY="),
        ('bash -c "train --api-key \\"s3cr3t\\""', "--api-key"),
        ("cd /x&&HF_TOKEN=s3cr3t train", "HF_TOKEN="),
        ("export KAGGLE_KEY=s3cr3t", "KAGGLE_KEY="),
        ("export PGPASSWORD=s3cr3t", "PGPASSWORD="),
        ("export AWS_ACCESS_KEY_ID=s3cr3t AWS_SESSION_TOKEN=s3cr3t", "AWS_SESSION_TOKEN="),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY="),
        ("train trainer.api_key=s3cr3t", "trainer.api_key="),
        ("train ++hub.client-secret=s3cr3t", "hub.client-secret="),
        ("python -c \"login(api_key='s3cr3t')\"", "api_key="),
        ("export JWT_SECRET=s3cr3t", "JWT_SECRET="),
        ("curl https://me:s3cr3t@host/x", "the password in https://"),
        ("s3://AKIAIOSFODNN7EXAMPL:s3cr3t@bucket/x", "the password in s3://"),
        ("curl https://host/x?page=1&access_token=s3cr3t", "access_token= in a URL"),
        ("az://c/f?sv=2020&sig=s3cr3t%3D", "sig= in a URL"),
        ("https://b/x?X-Amz-Signature=s3cr3t&e=1", "X-Amz-Signature= in a URL"),
        ("curl -H 'Authorization: Bearer s3cr3t'", "Authorization"),
        ('echo \'{"authorization": "Basic s3cr3t"}\'', "Authorization"),
        (f"train {KEY}", "a value that starts with hf_"),
        (f"train sk-{BASE62}", "a value that starts with sk-"),
        (f"train sk-proj-ab_c-T3BlbkFJ{BASE62}", "a value that starts with sk-"),
        (f"train sk-ant-api03-{BASE62}-{HEX}", "a value that starts with sk-"),
        (f"train ghp_{BASE62}{BASE62}", "a value that starts with ghp"),
        (f"train github_pat_{BASE62}_{BASE62}", "a value that starts with git"),
        (f"train glpat-{BASE62}", "a value that starts with glp"),
        (f"train xoxb-1234567890-{BASE62}", "a value that starts with xox"),
        ("train AKIAIOSFODNN7EXAMPLE", "a value that starts with AKI"),
        (f"train eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{HEX}", "a value that starts with eyJ"),
        ("cat <<E\n-----BEGIN RSA PRIVATE KEY-----\nMII\nE", "starts with BEGIN"),
        (f"train --wandb-key {HEX}a1b2c3d4", "--wandb-key"),
        (f"git clone https://{KEY}@host/x", "a value that starts with hf_"),
    ],
)
def test_secrets_are_found_and_named_without_their_value(text, what):
    found = " ".join(find_secrets(text))
    assert what.lower() in found.lower()
    assert "s3cr3t" not in found
    assert "s3cr3t" not in " ".join(redact(shlex.split(text)))


LEGITIMATE = """\
train --mix {mix_json} --out {run_dir} --tokens {max_tokens} --seed {seed}
train --eos-token '</s>' --pad_token <pad> --text_key text --input_key prompt_v2
train --max-tokens 100 --max_token 7 --num_tokens 5B --tokenizer allenai/dolma2-tokenizer
train --use_auth_token True --private-key ~/id --credentials cloud.json
train --use_auth_token --no-password now --api-key --verbose KEY=value
train --api-key EMPTY --password dummy --auth_key 'none' --secret-key 1234
train --api_key env:WANDB_API_KEY --hf_token os.environ/HF_TOKEN --api-key your-key-here
train --api-key sk-no-key-required --api-key token --api_key secret:wandb
train --api-key OPENAI_API_KEY --password password --hf-token hf_token --hf_token hf_...
train --credentials default --secret my-secret-name --pat pat
train model.hf_key=model.embed_tokens trainer.label_key=label
train --run_key exp-2024-10-12-llama-3b-seed1 cache_key=olmo-7b-2024-10-12_seed42
train --pad_token=reserved_special_token_1234 --eot_token tok_end_of_text_000012345
train --key input_ids2 --key sha256 --key label_1 key=image0 --key abc123
train --cache-key llama3b100Btokens7seed1x --sort_key 20241012T123456Z
train --run-key 123e4567-e89b-12d3-a456-426614174000
train --token text token=bos --name sk-mixture_llama3_1b_seed1 --name task-1b2c3d4e5f6g7h8i9j0k1l
python -c "token=tok.encode(x)"
python -c "login(api_key=os.environ['X'], password=getpass(), token=args.token)"
python -c "assert api_key==other and password!=api_key"
export HF_HUB_DISABLE_IMPLICIT_TOKEN=1 TOKENIZERS_PARALLELISM=false
export HTTPS_PROXY=http://$USER:$PASSWORD@proxy:3128
export HF_TOKEN="$(cat ~/.cache/token)" PASSWORD=${SLURM_PASSWORD:-none}
TEXT_KEY=content PAD_TOKEN=pad SORT_KEY=length CACHE_KEY=v3 PRIMARY_KEY=id train
bash -c 'train --api-key $WANDB_API_KEY'
bash -c 'train --api-key ${{WANDB_API_KEY}} --password "$A:$B" --hf-token \\"$HF_TOKEN\\"'
train --api-key "${KEY}" --token $(cat ~/.token) --password '$(pass show x)' --hf_token %TOKEN%
curl -H "Authorization: Bearer $TOKEN" -H "Authorization: Basic $(cat x)"
curl https://host/x?page=2&sort_key=name&token=abc&sig=$SIG
sort --key 2,2n --primary_key id
gs://b/token=xyz1/part s3://b/key=abc123456789/api_key=none/part
s3://bucket/a:b@c/part.npy https://host:8080/x@y git@github.com:me/mine.git ssh://git@host/x
git clone https://oauth2:$GITLAB_TOKEN@host/x https://user:***@host""".splitlines()


GUESSES = [
    (["train", "--eos_token", HEX], ["train", "--eos_token", "***"]),
    (["train", "--key", BASE62], ["train", "--key", "***"]),
    (["train", f"--token={BASE62}"], ["train", "--token=***"]),
    ([f"MY_KEY={BASE62}", "train"], ["MY_KEY=***", "train"]),
    (["clone", f"https://{BASE62}@host/x"], ["clone", "https://***@host/x"]),
]
"""What looks drawn at random where a secret may stand: it may be the hash of a data set as well."""


@pytest.mark.parametrize(("words", "shown"), GUESSES)
def test_what_only_looks_like_a_secret_is_hidden_and_not_refused(words, shown):
    assert find_secrets(shlex.join(words)) == ()
    assert redact(words) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize("text", [*LEGITIMATE, "\n".join(LEGITIMATE), ""])
def test_references_numbers_paths_and_words_of_language_models_are_no_secrets(text):
    assert find_secrets(text) == ()


def test_values_in_shell_lines_go_on_to_their_end():
    setup = "export HF_TOKEN=$(cat ~/.cache/token) WANDB_API_KEY=`cat key`\n train --password \\\n "
    assert find_secrets(f"{setup} $PASSWORD") == ()
    assert len(find_secrets(f"{setup} s3cr3t")) == 1
    assert find_secrets("train --ask-password\nexport A=b") == ()


@pytest.mark.parametrize("line", LEGITIMATE)
def test_commands_without_a_secret_are_shown_as_they_are(line):
    words = shlex.split(line)
    assert redact(words) == words


SURE_NAMES = [
    "WANDB_API_KEY",
    "KAGGLE_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "BEAKER_TOKEN",
    "GITHUB_TOKEN",
    "GH_PAT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "OPENAI_API_KEY",
    "APIKEY",
    "PGPASSWORD",
    "api-key",
    "hub.auth_token",
    "client_secret",
    "private-key",
    "secret_key",
    "passphrase",
    "my_passwd",
    "JWT_SECRET",
]
DOUBTFUL_NAMES = [
    "KEY",
    "TOKEN",
    "TEXT_KEY",
    "sort-key",
    "eos_token",
    "EOS_TOKEN_ID",
    "secret",
    "credentials",
]
OTHER_NAMES = [
    "MAX_TOKENS",
    "TOKENIZERS_PARALLELISM",
    "MONKEY",
    "KEYS",
    "PATH",
    "API_KEY_FILE",
    "password_file",
]


def test_names_decide_how_a_value_is_judged():
    for value in ("s3cr3t", HEX):
        assert {judge(name, value) for name in SURE_NAMES} == {"its name"}
        assert {judge(name, value) for name in (*DOUBTFUL_NAMES, *OTHER_NAMES)} == {None}


random_texts = st.one_of(
    st.binary(min_size=16, max_size=32).map(bytes.hex),
    st.text(string.ascii_letters + string.digits, min_size=24, max_size=48),
).filter(lambda text: not text.isdecimal())
words = st.lists(
    st.sampled_from(
        [
            "exp",
            "olmo-7b",
            "llama3",
            "seed42",
            "2024-10-12",
            "1b",
            "final",
            "tokens",
            "0.1",
            "v2",
            "Ab",
            "ckpt",
        ]
    ),
    min_size=1,
    max_size=8,
)


@given(st.sampled_from([name for name in SURE_NAMES if name.islower()]), random_texts)
def test_random_values_of_sure_names_are_found_and_starred(name, value):
    if value.isalpha() and judge(name, value) is None:  # the very name of a secret
        return
    for command in (
        ["go", f"--{name}", value],
        ["go", f"--{name}={value} b;c"],
        [f"{name}={value}"],
    ):
        assert find_secrets(shlex.join(command))
        assert value not in " ".join(redact(command))
        assert not any(value in said for said in find_secrets(shlex.join(command)))


@given(st.sampled_from(DOUBTFUL_NAMES), words, st.sampled_from("-_./"))
def test_words_and_numbers_under_doubtful_names_are_none(name, parts, between):
    value = between.join(parts)
    for text in (f"--{name} {value}", f"--{name}={value}", f"{name}={value}", f"x?{name}={value}"):
        assert find_secrets(text) == ()


@given(st.text(max_size=80))
def test_any_text_can_be_looked_at(text):
    find_secrets(text)
    assert redact(redact([text])) == redact([text])


def test_strange_texts_take_no_time():
    for part in (
        "$()",
        "${",
        "`",
        "{}",
        "a.",
        "a/",
        "--api-key ",
        "x=",
        "https://",
        "?a=",
        "no-key-",
        "_",
        "$(" * 9,
    ):
        find_secrets("--api-key " + part * 3000 + "x!y")


def test_redacted_words_keep_everything_else():
    words = ["go.py", "--api-key", "s3cr3t", "--seed", "7", "--hub-token=s3cr3t", "API_KEY=s3cr3t"]
    shown = ["go.py", "--api-key", "***", "--seed", "7", "--hub-token=***", "API_KEY=***"]
    assert redact(words) == shown
    assert redact(shown) == shown
    assert redact(["a", "ftp://me:s3cr3t@host/x", KEY]) == ["a", "ftp://me:***@host/x", "***"]


@pytest.mark.parametrize(
    "value", ["my secret phrase", "a;b c", "a|b", 'a "b" c', "two\nlines", "a=b"]
)
def test_all_of_a_word_is_the_value_whatever_a_shell_would_make_of_it(value):
    assert redact([f"--password={value}"]) == ["--password=***"]
    assert redact([f"PGPASSWORD={value}"]) == ["PGPASSWORD=***"]
    assert redact(["--password", value]) == ["--password", "***"]


def refused(section, plain):
    with pytest.raises(ConfigError) as error:
        section.from_dict(plain, "launch.yaml")
    message = str(error.value)
    assert "s3cr3t" not in message
    assert "set it in the launcher's environment (Beaker: infra.env_secrets)" in message
    assert "References are allowed" in message
    return message


ACCOUNT = {"budget": "b", "workspace": "w/w", "cluster": "c"}
COMMAND = {"command": "python train.py --api-key s3cr3t", "max_tokens": 100}
SLURM = {"backend": "slurm", "setup": "module load cuda\nexport WANDB_API_KEY=s3cr3t"}
SOURCE = {"name": "a", "paths": ["s3://me:s3cr3t@bucket/a.npy"]}


def test_no_section_takes_a_secret():
    assert "command: --api-key looks like a secret (its name)" in refused(CommandTraining, COMMAND)
    assert "setup: WANDB_API_KEY= looks like a secret" in refused(SlurmInfra, SLURM)
    proxy = {"env": {"HTTPS_PROXY": "http://me:s3cr3t@proxy"}}
    assert "env.HTTPS_PROXY: the password in http://" in refused(BeakerInfra, ACCOUNT | proxy)
    setup = {"setup": "export HF_TOKEN=s3cr3t"}
    assert "setup: HF_TOKEN= looks like a secret" in refused(BeakerInfra, ACCOUNT | setup)
    assert "sources[0].paths[0]: the password in s3://" in refused(
        DataConfig, {"sources": [SOURCE]}
    )


def test_variables_of_a_container_are_judged_by_name_and_value():
    env = {"TEXT_KEY": "content", "EOS_TOKEN_ID": "2", "OPENAI_API_KEY": "EMPTY", "API_KEY": 1}
    assert BeakerInfra.from_dict({**ACCOUNT, "env": env}).env == env
    assert BeakerInfra.from_dict({**ACCOUNT, "env": {"DATA_KEY": HEX}}).env == {"DATA_KEY": HEX}
    with pytest.raises(ConfigError, match=r"env.HF_TOKEN: looks like a secret \(its name\)"):
        BeakerInfra.from_dict({**ACCOUNT, "env": {"HF_TOKEN": HEX}})
    with pytest.raises(ConfigError, match=r"env.EXTRA: a value that starts with hf_"):
        BeakerInfra.from_dict({**ACCOUNT, "env": {"EXTRA": KEY}})


def test_folders_of_data_may_be_named_for_what_is_in_them():
    paths = ["s3://bucket/key=abc123456789/token=x/part.npy"]
    assert DataConfig.from_dict({"sources": [{"name": "a", "paths": paths}]}).paths_of("a") == (
        paths[0],
    )


def test_what_a_launch_has_written_can_always_be_read(tmp_path):
    config = {
        "name": "a",
        "infra": SLURM,
        "training": {"trainer": "command", **COMMAND},
        "data": {"sources": [SOURCE]},
        "eval": {"type": "validation", "paths": {"a": ["a.npy"]}},
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="looks like a secret"):
        LaunchConfig.from_yaml(file)
    (tmp_path / "status.json").write_text("{}")
    assert LaunchConfig.from_yaml(file).training.command == COMMAND["command"]
    (tmp_path / "launch.yaml").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="looks like a secret"):
        LaunchConfig.from_yaml(tmp_path / "launch.yaml")
    beaker = {**ACCOUNT, "env": {"HF_TOKEN": "s3cr3t"}, "setup": "export HF_TOKEN=s3cr3t"}
    for infra in (SLURM, beaker):
        assert InfraConfig.from_dict({"infra": infra}, kept=True).infra.setup == infra["setup"]
        with pytest.raises(ConfigError, match="looks like a secret"):
            InfraConfig.from_dict({"infra": infra})
