"""Real Redis servers for tests: single, in a cluster, under Sentinels, and through a proxy that fails."""
