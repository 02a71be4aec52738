import pytest
from bad_experiments import CASES

from olmix.sweep import build_plan


@pytest.mark.parametrize(
    ("text", "error", "messages"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_wrong_experiment_is_told_what_to_do(text, error, messages, tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    with pytest.raises(error) as found:
        build_plan(file)
    assert type(found.value) is error, found.value
    said = str(found.value)
    for message in messages:
        assert message in said, said
    assert str(file) in said
    assert list(tmp_path.iterdir()) == [file], "nothing half-written is left behind"


def test_there_are_enough_of_them():
    assert len(CASES) >= 60
    assert len({case[0] for case in CASES}) == len(CASES)
