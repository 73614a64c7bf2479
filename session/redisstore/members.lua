-- Lists the index of a subject.
-- KEYS[1]  the index, see index.lua
-- answers  the session ids in it, also of sessions that have ended or expired since
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call("ZRANGEBYSCORE", KEYS[1], string.format("(%.0f", now), "+inf")
