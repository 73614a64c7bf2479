-- Takes the lease when nobody holds it, and renews it for its holder.
-- KEYS[1]  the lease: the candidate that holds it
-- ARGV     candidate; how long the lease lasts (ms)
-- answers  the candidate that holds it now
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
	return holder
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return ARGV[1]
