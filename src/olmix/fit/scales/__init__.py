"""Several model sizes in one fit: small runs give the shape, a few larger ones their map."""
