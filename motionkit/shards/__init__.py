"""Shards: the contract between data and training."""
