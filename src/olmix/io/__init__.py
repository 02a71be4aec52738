"""Files between the stages: tables, token files, run folders; written whole or not at all."""
