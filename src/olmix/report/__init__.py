"""The report of a fit: a page to read and share, and a PNG file of every figure."""

from olmix.report.decisions import explain
from olmix.report.first_screen import summary
from olmix.report.write import write_report

__all__ = ["explain", "summary", "write_report"]
