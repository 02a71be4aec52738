"""Launching on SLURM."""
