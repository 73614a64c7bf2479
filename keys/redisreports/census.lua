-- Counts the verifiers in service.
-- ARGV     what is to be held; the time after which a report proves it; that after which a verifier counts; now; for how
--          long a report counts, in milliseconds; how many of those missing are named at most
-- answers  {since when the reports are complete, verifiers, missing, where some of these are…}
-- It writes, so that WAIT shows that this is not a primary which was cut off and replaced.
local answer = {since(ARGV[4], ARGV[5]), "0", "0"}
local verifiers, missing, named = redis.call("ZRANGEBYSCORE", AT, "(" .. ARGV[3], "+inf", "WITHSCORES"), 0, tonumber(ARGV[6])
for i = 1, #verifiers, 2 do
	local held, from = string.match(redis.call("HGET", WHAT, verifiers[i]) or "", "^(%S*) (.*)$")
	if held ~= ARGV[1] or tonumber(verifiers[i + 1]) <= tonumber(ARGV[2]) then
		missing = missing + 1
		if missing <= named then
			answer[#answer + 1] = from or ""
		end
	end
end
answer[2], answer[3] = tostring(#verifiers / 2), tostring(missing)
return answer
