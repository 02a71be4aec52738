"""Every malformed input ends in one clear message: where, what was found, what to do."""

import pytest
from bad_inputs import CASES, FIT, METRICS, RATIOS

from olmix.cli.main import main

GOOD = {"ratios": RATIOS, "metrics": METRICS, "fit": FIT}
FILES = {"ratios": "ratios.csv", "metrics": "metrics.csv", "fit": "fit.yaml"}


def refused(capsys, folder, spoilt):
    """Run `olmix fit` on a good input but for one file; returns what it said."""
    for key, text in {**GOOD, **spoilt}.items():
        if text is not None:
            (folder / FILES[key]).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit) as caught:
        main(["fit", "-c", str(folder / "fit.yaml"), "-o", str(folder / "fits")])
    output = capsys.readouterr()
    assert caught.value.code == 2, output.err
    assert "Traceback" not in output.err
    assert output.out == ""
    return output.err


@pytest.mark.parametrize(
    ("file", "old", "new", "words"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_a_malformed_input_gives_one_clear_message(capsys, tmp_path, file, old, new, words):
    if old:
        assert old in GOOD[file]
        new = GOOD[file].replace(old, new, 1)
    said = " ".join(refused(capsys, tmp_path, {file: new}).split())
    assert words in said
    assert said.count("error:") == 1
    # Nothing is left behind.
    left = sorted(path.name for path in tmp_path.glob("fits/**/*"))
    assert left == []


def test_problems_of_both_tables_come_together(capsys, tmp_path):
    spoilt = {
        "ratios": RATIOS.replace("r3,0.3,0.3,0.4", "r3,0.3,0.3,0.9"),
        "fit": FIT.replace("a: 100, ", "") + "filtering: {obj_weights: {z: 1}}\n",
    }
    said = refused(capsys, tmp_path, spoilt)
    assert "the priors lack a" in said
    assert "there is no metric z" in said


def test_there_are_many_cases_and_none_twice():
    names = [case[0] for case in CASES]
    assert len(names) >= 80
    assert len(set(names)) == len(names)
