-- Tells who holds the lease.
-- KEYS[1]  the lease, see hold.lua
-- answers  the candidate that holds it now, "" for nobody
return redis.call("GET", KEYS[1]) or ""
