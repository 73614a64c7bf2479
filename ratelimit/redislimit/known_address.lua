-- Tells how long ago an account has last logged in from an address.
-- KEYS[1]  the account's known addresses, as in remember_address.lua
-- ARGV     address, how long it stays known (ms)
-- answers  milliseconds; -1 if it has not, or not for that long
local address, keep = ARGV[1], tonumber(ARGV[2])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local at = redis.call("ZSCORE", KEYS[1], address)
if at and now - tonumber(at) < keep then
	return math.max(0, now - tonumber(at))
end
return -1
