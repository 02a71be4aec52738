"""Evidence: what stands behind a fit and its proposal."""
