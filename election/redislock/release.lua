-- Gives the lease up, if it is still the candidate's.
-- KEYS[1]  the lease, see hold.lua
-- ARGV     candidate
-- answers  1 if it was, 0 otherwise
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
	return 0
end
return redis.call("DEL", KEYS[1])
