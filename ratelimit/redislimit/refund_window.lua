-- Gives n units back to the window they were taken in, if it is this one or the previous one.
-- KEYS[1]  the key's state, as in fixed_window.lua and sliding_window.lua; its expiry stays
-- ARGV     window (ms), n, the time at which the window of the units began (Unix ms)
-- answers  1 if something was given back, 0 if nothing of it counts any more
local window, n, taken_at = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call("GET", KEYS[1])
if not state then
	return 0
end
local at, level, previous = string.match(state, "^(%d+) (%d+) (%d+)$")
at, level, previous = tonumber(at), tonumber(level), tonumber(previous)
if taken_at == at then
	level = math.max(0, level - n)
elseif taken_at == at - window then
	previous = math.max(0, previous - n)
else
	return 0
end
redis.call("SET", KEYS[1], string.format("%.0f %.0f %.0f", at, level, previous), "KEEPTTL")
return 1
