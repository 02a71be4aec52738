"""Tables in Python: they are read as if they stood in a CSV file."""

import math
import re

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.text.frames import is_frame, table_of

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

COLUMNS = {"run": ["r1", "r2"], "a": [0.1 + 0.2, 0.5], "b": [0.7, None]}


class Columnar:
    """A data frame of another library: named columns that NumPy can read, as polars has them."""

    def __init__(self, columns):
        self._columns = {name: np.array(values, dtype=object) for name, values in columns.items()}

    @property
    def columns(self):
        return list(self._columns)

    def __getitem__(self, name):
        return self._columns[name]


class Exchanged:
    """A data frame of which nothing is known but the interchange protocol."""

    def __init__(self, columns):
        self._frame = pd.DataFrame(columns)

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self._frame.__dataframe__(nan_as_null, allow_copy)


class LazyFrame(Columnar):
    """A query of polars that has not been run."""


FORMS = [
    COLUMNS,
    [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)],
    {"r1": {"a": 0.1 + 0.2, "b": 0.7}, "r2": {"a": 0.5}},
    pd.DataFrame(COLUMNS),
    pd.DataFrame(COLUMNS).set_index("run"),
    pd.DataFrame(COLUMNS).set_index("run").rename_axis(None),
    Columnar(COLUMNS),
    pa.table(COLUMNS),
]


@pytest.mark.parametrize("data", FORMS, ids=lambda data: type(data).__name__)
def test_every_form_gives_the_same_table(data):
    table = table_of(data, "ratios")
    assert table.runs == ("r1", "r2")
    assert table.columns == ("a", "b")
    assert table.values[0].tolist() == [0.1 + 0.2, 0.7], "to the last digit"
    assert math.isnan(table.values[1, 1])


@pytest.mark.filterwarnings("ignore:.*interchange.*", "ignore:.*__dataframe__.*")
def test_the_interchange_protocol_will_do():
    data = Exchanged({"run": ["r1", "r2"], "a": [0.5, 1.0]})
    assert is_frame(data)
    table = table_of(data, "ratios")
    assert (table.runs, table.values.tolist()) == (("r1", "r2"), [[0.5], [1.0]])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            pd.DataFrame({"a": [1.0]}),
            "`run_id` or `index` is needed; found a",
        ),
        ({"run": ["x", "x"], "a": [1, 2]}, "ratios: the run x is given twice"),
        ({"run": ["x", "y"], "a": [1, "two"]}, "ratios, row 2: a: found 'two'; a number"),
        ({"run": ["x", "y"], "a": [1]}, "the columns differ in length"),
        ({"run": "x", "a": [1]}, "a column is a list of values"),
        (LazyFrame(COLUMNS), "a LazyFrame, whose rows are not loaded yet; call collect() on it"),
        (5, "found a int; a data frame, a dict of columns, or a list of dicts is needed"),
        ([], "found a list"),
        ({}, "found an empty file"),
    ],
)
def test_what_is_no_table_is_named(data, said):
    with pytest.raises(DataError, match=re.escape(said)):
        table_of(data, "ratios")


def test_rows_without_a_name_are_numbered_where_that_will_do():
    assert table_of({"a": [1, 2]}, "predict", number_rows=True).runs == ("0", "1")
