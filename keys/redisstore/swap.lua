-- Replaces the ring if its version is still the old one.
-- KEYS[1]  the ring, see get.lua
-- ARGV     old version, "" if there must be no ring; new version; value
-- answers  {1, new version}, or {0, version as it is, "" for none} when nothing was changed
-- The same call again, when its first answer was lost, finds its own version. It writes then too, for WAIT.
local version = redis.call("HMGET", KEYS[1], "version")[1] or ""
if version ~= ARGV[1] and version ~= ARGV[2] then
	return {0, version}
end
redis.call("HSET", KEYS[1], "version", ARGV[2], "value", ARGV[3])
return {1, ARGV[2]}
