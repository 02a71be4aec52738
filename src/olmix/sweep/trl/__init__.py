"""The TRL adapter: sweeps of TRL's own command line."""
