-- Ends a session: puts a tombstone in the place of its record.
-- KEYS[1]  the record, see record.go
-- ARGV     how long the tombstone stays (µs)
-- answers  {now (µs), 1, tombstone}; {now, 0, ""} when there is no record
-- What has ended before is left as it is, but written again, so that WAIT confirms it.
local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]

local stored = redis.call("GET", KEYS[1])
if not stored then
	return {now, 0, ""}
end
if string.find(stored, "^ended ") then
	redis.call("SET", KEYS[1], stored, "KEEPTTL")
	return {now, 1, stored}
end

local subject = string.match(stored, "^live [^\n]*\n([^\n]*)\n")
if subject == nil then
	return redis.error_reply("ERR authd: unreadable session record")
end
local tombstone = string.format("ended %.0f\n", now) .. subject
redis.call("SET", KEYS[1], tombstone, "PXAT", string.format("%.0f", math.ceil((now + ARGV[1]) / 1000)))
return {now, 1, tombstone}
