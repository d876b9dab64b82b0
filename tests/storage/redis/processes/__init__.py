"""Scripts that tests of the Redis store run as processes of their own."""
