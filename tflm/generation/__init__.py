"""Sampling and decoding over `initial_state` and `step`, the same for every family."""
