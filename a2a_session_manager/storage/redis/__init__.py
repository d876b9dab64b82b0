"""RedisSessionStore: sessions on Redis, shared by any number of machines."""
