"""The command line `a2a-sessions`: look into a store, and keep it in order. It comes with the extra `cli`."""
