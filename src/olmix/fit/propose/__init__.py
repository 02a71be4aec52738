"""From laws to a mixture: what is allowed, what is minimised, and how."""
