"""Where a stage runs: this machine (`local`)."""
