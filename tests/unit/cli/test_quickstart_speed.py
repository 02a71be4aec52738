import pytest

from olmix.cli.quickstart import _measured
from olmix.errors import DataError


def test_the_speed_is_what_launch_measure_wrote(tmp_path):
    (tmp_path / "speed.json").write_text('{"tokens_per_second": 148000}')
    assert _measured(tmp_path / "speed.json") == 148_000


_NO_SPEEDS = ('"fast"', "NaN", "0", "1e999", "true", "null", "[1]")
_DAMAGED = ("", "null", "[1]", "{}", *(f'{{"tokens_per_second": {one}}}' for one in _NO_SPEEDS))


@pytest.mark.parametrize("content", _DAMAGED)
def test_a_damaged_speed_is_said(tmp_path, content):
    (tmp_path / "speed.json").write_text(content)
    with pytest.raises(DataError, match=r"speed\.json"):
        _measured(tmp_path / "speed.json")
