-- Forgets a page of expired entries, and the changes that every follower had time to read.
-- ARGV[1]  the caller's clock, Unix seconds: an entry goes only when it has expired by both clocks
-- ARGV[2]  how long an expired entry is kept, seconds
-- ARGV[3]  how long a change is kept at least, ms
-- ARGV[4]  the most entries to forget, and changes to trim, in this call
-- answers  {entries forgotten, changes trimmed}
local now = now_ms()
local floor = math.min(math.floor(now / 1000), tonumber(ARGV[1])) - tonumber(ARGV[2])
local expired = redis.call("ZRANGEBYSCORE", ENTRIES, "-inf", floor, "LIMIT", 0, ARGV[4])
for _, member in ipairs(expired) do
	redis.call("ZREM", ENTRIES, member)
	redis.call("HDEL", CUTOFFS, member)
end

-- The mark says which change was the latest at some moment. Once that is long enough ago, everything up to it goes.
-- A mark in the future was left by another server's clock.
local m = redis.call("HMGET", META, "seq", "mark_ms", "mark_seq", "trim_to")
local age = m[2] and now - tonumber(m[2])
local trim_to = m[4]
if m[1] and (not age or age < 0 or age >= tonumber(ARGV[3])) then
	if age and age >= 0 then
		trim_to = digits(tonumber(m[3]) + 1)
	end
	redis.call("HSET", META, "mark_ms", digits(now), "mark_seq", m[1], "trim_to", trim_to or "0")
end
local trimmed = 0
if trim_to then
	trimmed = redis.call("XTRIM", CHANGES, "MINID", "~", trim_to .. "-0", "LIMIT", ARGV[4])
end
return {#expired, trimmed}
