"""The name under which documents and scripts of cruijff_kit look for Olmix's sweeps."""
