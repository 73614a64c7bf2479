-- Reads the ring's version.
-- KEYS[1]  the ring, see get.lua
-- answers  version; "" when there is no ring
return redis.call("HMGET", KEYS[1], "version")[1] or ""
