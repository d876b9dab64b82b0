"""Usage: from any provider's object to a TokenUsage of inclusive numbers."""
