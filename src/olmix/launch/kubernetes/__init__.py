"""Launching on Kubernetes."""
