"""Launching on this machine."""
