"""How fast, side by side with a peer in the same run, as ratios: `python -m benchmarks`."""
