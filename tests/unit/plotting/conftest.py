"""A figure to draw on, in the style of the reports, and its bytes as a PNG file."""

from __future__ import annotations

from io import BytesIO

import pytest

from olmix.plotting import new_figure, style


@pytest.fixture
def ax():
    """Return axes; what is drawn on them is saved at the end, as a report does."""
    with style():
        figure, axes = new_figure(2.5, 2.0)
        yield axes
        buffer = BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight", dpi=50)
        assert buffer.getvalue().startswith(b"\x89PNG")
