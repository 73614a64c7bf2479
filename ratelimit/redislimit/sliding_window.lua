-- Sliding-window counter: takes n units if, with the part of the previous window that still counts, they fit.
-- KEYS[1]  the key's state, the text "at level previous": when the window began (Unix ms), units taken in it, units
--          taken in the window before it
-- ARGV     limit, window (ms), n
-- answers  {1 if taken, now (Unix ms), at, level, previous}
-- The key expires when nothing of it counts any more. Same computation as slidingWindow in ratelimit/window.go.
local limit, window, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local at, level, previous = string.match(redis.call("GET", KEYS[1]) or "0 0 0", "^(%d+) (%d+) (%d+)$")
at, level, previous = tonumber(at), tonumber(level), tonumber(previous)
local set_back = at > now -- the server's clock; keep what was taken, but do not wait for the clock to catch up
if set_back then
	at = now
end
if now - at >= 2 * window or (now - at >= window and level == 0) then -- nothing counts: begin anew
	at, level, previous = now, 0, 0
elseif now - at >= window then
	at, level, previous = at + window, 0, level
end

local taken = 0
if previous * (window - (now - at)) + (level + n) * window <= limit * window then
	taken, level = 1, level + n
end
if taken == 1 or set_back then
	redis.call("SET", KEYS[1], string.format("%.0f %.0f %.0f", at, level, previous), "PX", at + 2 * window - now)
end
return {taken, now, at, level, previous}
