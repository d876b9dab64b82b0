"""Sessions on the move: bundles, copies from store to store, claims, and what can be saved of a damaged session."""
