-- Reads a session.
-- KEYS[1]  the record, see record.go
-- answers  {now (µs), 0, record or ""}
local clock = redis.call("TIME")
return {clock[1] * 1000000 + clock[2], 0, redis.call("GET", KEYS[1]) or ""}
