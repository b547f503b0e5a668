"""Measurements that are too slow or too loose for tests: `make bench`, or one module at a time."""
