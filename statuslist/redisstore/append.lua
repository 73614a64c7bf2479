-- Adds a note to a status list.
-- KEYS[1]  the list: its header and its notes, one after the other, all of the same size
-- ARGV     the header of a new list; the note; when a new list is deleted (ms since 1970)
-- answers  {header, how many notes there were before}, or {header, -1} when the list is full
if redis.call("EXISTS", KEYS[1]) == 0 then
	redis.call("SET", KEYS[1], ARGV[1], "PXAT", ARGV[3])
end
local size = #ARGV[2]
local header = redis.call("GETRANGE", KEYS[1], 0, size - 1)
local a, b, c, d = string.byte(header, 17, 20)
local places = ((a * 256 + b) * 256 + c) * 256 + d
if redis.call("STRLEN", KEYS[1]) >= (places + 1) * size then
	return {header, -1}
end
return {header, redis.call("APPEND", KEYS[1], ARGV[2]) / size - 2}
