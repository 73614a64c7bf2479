-- Publishes that replicas have a heartbeat.
-- ARGV[1]  its epoch
-- ARGV[2]  its number
-- ARGV[3]  when it was written, ms of the server's clock
-- answers  1 if it is published, 0 if the epoch is over or a later heartbeat was confirmed before
local m = redis.call("HMGET", META, "epoch", "confirmed")
if m[1] ~= ARGV[1] or tonumber(m[2] or 0) >= tonumber(ARGV[2]) then
	return 0
end
redis.call("HSET", META, "confirmed", ARGV[2], "confirmed_ms", ARGV[3])
return 1
