"""Files that lie in buckets and on web servers: how they are named, listed and read."""
