-- Tells which shards of an index hold lines. KEYS: marks.

return {'OK', redis.call('ZRANGEBYSCORE', KEYS[1], text(now()), '+inf')}
