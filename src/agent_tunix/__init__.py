"""The older name of Olmix's GRPO training: ``agent-tunix`` is `olmix grpo`."""
