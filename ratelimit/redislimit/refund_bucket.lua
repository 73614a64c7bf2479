-- Puts n tokens back into a bucket.
-- KEYS[1]  the key's state, as in token_bucket.lua; its expiry stays, as a bucket may be remembered longer than needed
-- ARGV     window (ms), n
-- answers  1 if something was given back, 0 if the bucket is full
local window, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call("GET", KEYS[1])
if not state then
	return 0
end
local at, spent = string.match(state, "^(%d+) (%d+) %d+$")
redis.call("SET", KEYS[1], string.format("%s %.0f 0", at, math.max(0, tonumber(spent) - n * window)), "KEEPTTL")
return 1
