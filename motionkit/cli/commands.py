"""Registers every command, in the order in which `motionkit --help` lists them."""

