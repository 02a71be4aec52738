"""What counts as a secret in a text, and that configs refuse it without repeating it."""

from __future__ import annotations

import pytest

from olmix.config import BeakerInfra, CommandTraining, DataConfig, SlurmInfra
from olmix.config.secrets import find_secrets, is_secret_name, redact
from olmix.errors import ConfigError

KEY = "hf_abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train --api-key s3cr3t", "--api-key"),
        ("train --key abc123", "--key"),
        ("train --hf_token=s3cr3t", "--hf_token"),
        ('train --password "s3cr3t and more"', "--password"),
        ("bash -c 'WANDB_API_KEY=s3cr3t python train.py'", "WANDB_API_KEY="),
        ("export KAGGLE_KEY=s3cr3t", "KAGGLE_KEY="),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY="),
        ("train trainer.api_key=s3cr3t", "trainer.api_key="),
        ("train --eos_token 7f3a9b8c6d5e4f3a2b1c0d9e8f7a6b5c", "--eos_token"),
        ("curl https://me:s3cr3t@host/x", "the password in https://"),
        ("s3://AKIAIOSFODNN7EXAMPL:s3cr3t@bucket/x", "the password in s3://"),
        ("curl https://host/x?page=1&access_token=s3cr3t", "access_token= in a URL"),
        (f"train {KEY}", "a value that starts with hf_"),
    ],
)
def test_secrets_are_found_and_named_without_their_value(text, what):
    assert what in find_secrets(text)
    assert "s3cr3t" not in str(find_secrets(text))


@pytest.mark.parametrize(
    "text",
    [
        "train --mix {mix_json} --out {run_dir} --tokens {max_tokens} --seed {seed}",
        "train --eos-token '</s>' --pad_token <pad> --text_key text --input_key prompt_v2",
        "train --max-tokens 100 --max_token 7 --num_tokens 5B --tokenizer allenai/dolma2-tokenizer",
        "bash -c 'train --api-key $WANDB_API_KEY'",
        'train --api-key "${KEY}" --token $(cat ~/.token)',
        "train --use_auth_token True --private-key ~/id --credentials cloud.json",
        "export HF_HUB_DISABLE_IMPLICIT_TOKEN=1 TOKENIZERS_PARALLELISM=false",
        "export HTTPS_PROXY=http://$USER:$PASSWORD@proxy:3128",
        "sort --key 2,2n --primary_key id",
        "s3://bucket/a:b@c/part.npy https://host:8080/x@y git@github.com:me/mine.git",
        "train --api-key --verbose KEY=value",
        "",
    ],
)
def test_references_numbers_paths_and_words_of_language_models_are_no_secrets(text):
    assert find_secrets(text) == ()


def test_names_of_variables():
    for name in ("KAGGLE_KEY", "HF_TOKEN", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "APIKEY", "GH_PAT"):
        assert is_secret_name(name), name
    for name in ("MAX_TOKENS", "TOKENIZERS_PARALLELISM", "MONKEY", "KEYS", "PATH"):
        assert not is_secret_name(name), name


def test_redacted_words_keep_everything_else():
    words = ["go.py", "--api-key", "s3cr3t", "--seed", "7", "--hub-token=s3cr3t", "X_KEY=s3cr3t"]
    shown = ["go.py", "--api-key", "***", "--seed", "7", "--hub-token=***", "X_KEY=***"]
    assert redact(words) == shown
    assert redact(shown) == shown
    assert redact(["a", "ftp://me:s3cr3t@host/x", KEY]) == ["a", "ftp://me:***@host/x", "***"]


def refused(section, plain):
    with pytest.raises(ConfigError) as error:
        section.from_dict(plain, "launch.yaml")
    assert "s3cr3t" not in str(error.value)
    assert "Set it in the environment" in str(error.value)
    return str(error.value)


def test_no_section_takes_a_secret():
    command = {"command": "python train.py --api-key s3cr3t", "max_tokens": 100}
    assert "command: --api-key is a secret" in refused(CommandTraining, command)
    slurm = {"backend": "slurm", "setup": "module load cuda\nexport WANDB_API_KEY=s3cr3t"}
    assert "setup: WANDB_API_KEY= is a secret" in refused(SlurmInfra, slurm)
    account = {"budget": "b", "workspace": "w/w", "cluster": "c"}
    proxy = {"env": {"HTTPS_PROXY": "http://me:s3cr3t@proxy"}}
    assert "env.HTTPS_PROXY: the password in http://" in refused(BeakerInfra, account | proxy)
    setup = {"setup": "export HF_TOKEN=s3cr3t"}
    assert "setup: HF_TOKEN= is a secret" in refused(BeakerInfra, account | setup)
    source = {"name": "a", "paths": ["s3://me:s3cr3t@bucket/a.npy"]}
    assert "sources[0].paths[0]: the password in s3://" in refused(
        DataConfig, {"sources": [source]}
    )


def test_folders_of_data_may_be_named_for_what_is_in_them():
    paths = ["s3://bucket/key=abc123456789/token=x/part.npy"]
    assert DataConfig.from_dict({"sources": [{"name": "a", "paths": paths}]}).paths_of("a") == (
        paths[0],
    )
