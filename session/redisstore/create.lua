-- Creates a session.
-- KEYS[1]  the record, see record.go
-- ARGV     the record without its first line; how long the server keeps it unless it is refreshed (µs)
-- answers  {now (µs), 1 if created, record}; otherwise there is another record, {now, 0, ""}
-- The same call again, when its first answer was lost, finds its own untouched session, as no other call has the same
-- random part. It writes then too, for WAIT.
local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]

local stored = redis.call("GET", KEYS[1])
if stored then
	local created, used, rest = string.match(stored, "^live 1 %d+ 0 (%d+) (%d+)\n(.*)$")
	if created == nil or created ~= used or rest ~= ARGV[1] then
		return {now, 0, ""}
	end
	redis.call("SET", KEYS[1], stored, "KEEPTTL")
	return {now, 1, stored}
end

local record = string.format("live 1 %.0f 0 %.0f %.0f\n", now, now, now) .. ARGV[1]
redis.call("SET", KEYS[1], record, "PXAT", string.format("%.0f", math.ceil((now + ARGV[2]) / 1000)))
return {now, 1, record}
