"""Reinforcement learning with GRPO on Google Tunix (JAX), configured by composition with Hydra.

`compose` and `config` make and check a configuration and import neither JAX nor Tunix; `run`
trains. All that depends on Tunix's own interface is in `tunix_adapter`.
"""
