-- Stamps a server for a program that begins to use it, unless it needs a newer one.
--
-- KEYS[1] hash of version, needs and release
-- ARGV    the program's version, what it leaves needs, its release
--
-- Answers what the server said before: version and needs, 0 where it said nothing, and release. It was too new if needs
-- exceeds the program's version, and then nothing has changed. See internal/schema.
local said = redis.call("HMGET", KEYS[1], "version", "needs", "release")
local version, needs = tonumber(said[1] or 0), tonumber(said[2] or 0)
if needs <= tonumber(ARGV[1]) then
	local release = ARGV[3]
	if version > tonumber(ARGV[1]) then
		release = said[3] or ""
	end
	redis.call("HSET", KEYS[1], "version", ARGV[1], "needs", math.max(needs, tonumber(ARGV[2])), "release", release)
end
return {version, needs, said[3] or ""}
