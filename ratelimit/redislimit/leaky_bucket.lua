-- Leaky bucket: queues n units if there is room; what is queued already is how long they have to wait.
-- KEYS[1]  the key's state, the text "at level previous": when level was true (Unix ms), units queued and not yet
--          served times window, 0
-- ARGV     limit, window (ms), n, places (the one being served and those that wait)
-- answers  {1 if queued, now (Unix ms), at, level with the n units, previous}
-- The key expires when the queue is empty. Same computation as leakyBucket in ratelimit/bucket.go.
local limit, window, n, places = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local at, queued = string.match(redis.call("GET", KEYS[1]) or "0 0 0", "^(%d+) (%d+) %d+$")
local elapsed = now - tonumber(at)
local set_back = elapsed < 0 -- the server's clock; keep what was taken, but do not wait for the clock to catch up
if set_back then
	elapsed = 0
end
queued = math.max(0, tonumber(queued) - elapsed * limit)

local taken = 0
if queued + n * window <= places * window then
	taken, queued = 1, queued + n * window
end
if taken == 1 or set_back then
	redis.call("SET", KEYS[1], string.format("%.0f %.0f 0", now, queued), "PX", math.ceil(queued / limit))
end
return {taken, now, now, queued, 0}
