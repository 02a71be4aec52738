"""Text and files, with nothing in it that only Olmix knows: YAML, CSV, numbers in words, SLURM."""
