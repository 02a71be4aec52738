"""Launching on Beaker."""
