-- Keeps a report in place of the verifier's earlier one.
-- ARGV     verifier; time; "held from"; for how long a report counts, in milliseconds; how many verifiers are kept at most
-- answers  1, or 0 when there was no room: the census is incomplete until now then
since(ARGV[2], ARGV[4]) -- writes whatever happens, for WAIT
local over = redis.call("ZRANGEBYSCORE", AT, "-inf", tonumber(ARGV[2]) - tonumber(ARGV[4]), "LIMIT", 0, 100)
if #over > 0 then
	redis.call("ZREM", AT, unpack(over))
	redis.call("HDEL", WHAT, unpack(over))
end
if not redis.call("ZSCORE", AT, ARGV[1]) and redis.call("ZCARD", AT) >= tonumber(ARGV[5]) then
	redis.call("HSET", KEPT, "since", ARGV[2])
	return 0
end
redis.call("ZADD", AT, ARGV[2], ARGV[1])
redis.call("HSET", WHAT, ARGV[1], ARGV[3])
redis.call("PEXPIRE", AT, ARGV[4])
redis.call("PEXPIRE", WHAT, ARGV[4])
return 1
