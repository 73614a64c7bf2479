-- Token bucket: takes n tokens if the bucket holds them.
-- KEYS[1]  the key's state, the text "at level previous": when level was true (Unix ms), tokens spent and not yet
--          replaced times window, 0
-- ARGV     limit, window (ms), n, burst
-- answers  {1 if taken, now (Unix ms), at, level, previous}
-- The key expires when the bucket is full again. Same computation as bucket in ratelimit/bucket.go.
local limit, window, n, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local at, spent = string.match(redis.call("GET", KEYS[1]) or "0 0 0", "^(%d+) (%d+) %d+$")
local elapsed = now - tonumber(at)
local set_back = elapsed < 0 -- the server's clock; keep what was taken, but do not wait for the clock to catch up
if set_back then
	elapsed = 0
end
spent = math.max(0, tonumber(spent) - elapsed * limit)

local taken = 0
if spent + n * window <= burst * window then
	taken, spent = 1, spent + n * window
end
if taken == 1 or set_back then
	redis.call("SET", KEYS[1], string.format("%.0f %.0f 0", now, spent), "PX", math.ceil(spent / limit))
end
return {taken, now, now, spent, 0}
