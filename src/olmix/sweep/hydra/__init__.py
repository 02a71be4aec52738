"""The Hydra adapter: sweeps of `olmix grpo train`."""
