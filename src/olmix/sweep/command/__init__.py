"""Any trainer that a command starts: with a config file, or with flags."""
