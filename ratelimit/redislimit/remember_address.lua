-- Remembers that an account has logged in from an address.
-- KEYS[1]  the account's known addresses, a sorted set by the time of the last login (Unix ms)
-- ARGV     address, how long it stays known (ms), how many addresses an account may have
-- answers  1
-- The key expires with its last address.
local address, keep, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call("ZADD", KEYS[1], now, address)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - keep)
redis.call("ZREMRANGEBYRANK", KEYS[1], 0, -1 - most)
redis.call("PEXPIRE", KEYS[1], keep)
return 1
