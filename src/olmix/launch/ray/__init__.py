"""Launching on Ray."""
