"""Real Redis servers for tests: single, in a cluster, under Sentinels, and behind a proxy that fails."""
