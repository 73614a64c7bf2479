-- Fixed window: takes n units if the window that began with the key's first unit has room for them.
-- KEYS[1]  the key's state, the text "at level previous": when the window began (Unix ms), units taken in it, 0
-- ARGV     limit, window (ms), n
-- answers  {1 if taken, now (Unix ms), at, level, previous}
-- The key expires when its window has ended. Same computation as fixedWindow in ratelimit/window.go.
local limit, window, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local at, level = string.match(redis.call("GET", KEYS[1]) or "0 0 0", "^(%d+) (%d+) %d+$")
at, level = tonumber(at), tonumber(level)
local set_back = at > now -- the server's clock; keep what was taken, but do not wait for the clock to catch up
if set_back then
	at = now
end
if now - at >= window then
	at, level = now, 0
end

local taken = 0
if level + n <= limit then
	taken, level = 1, level + n
end
if taken == 1 or set_back then
	redis.call("SET", KEYS[1], string.format("%.0f %.0f 0", at, level), "PX", at + window - now)
end
return {taken, now, at, level, 0}
