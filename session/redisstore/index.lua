-- Enters sessions into the index of their subject, or changes until when they are in it.
-- KEYS[1]  the index: a sorted set of session ids (16 bytes) by when they leave it (Unix ms)
-- ARGV     how long they stay (ms); session ids
-- answers  OK
-- Entries that are due leave. The key lives as long as its last entry.
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local due = string.format("%.0f", now + ARGV[1])

redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now))
for i = 2, #ARGV do
	redis.call("ZADD", KEYS[1], due, ARGV[i])
end
local last = redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")
redis.call("PEXPIREAT", KEYS[1], string.format("%.0f", last[2]))
return redis.status_reply("OK")
