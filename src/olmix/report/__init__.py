"""The report of a fit: a page to read and share, and a PNG file of every figure."""

from olmix.report.comparison import compare_fits
from olmix.report.explain import explain
from olmix.report.fit_list import list_fits
from olmix.report.last_lines import summary
from olmix.report.write import write_report

__all__ = ["compare_fits", "explain", "list_fits", "summary", "write_report"]
