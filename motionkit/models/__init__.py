"""The models: pure torch, no files, no command line."""
