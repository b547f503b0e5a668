"""Adapters to other people's models, imported only when used."""
