-- Reads the ring.
-- KEYS[1]  the ring: a hash of "version" and "value"
-- answers  {version, value}; {} when there is no ring
local ring = redis.call("HMGET", KEYS[1], "version", "value")
if not ring[1] then
	return {}
end
return ring
