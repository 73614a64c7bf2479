-- Decides about tokens on all axes. Read-only.
-- ARGV[1]  how old the last confirmed heartbeat may be, ms; for a set whose heartbeats are confirmed
-- ARGV[2]… tokens: the ids (16 bytes each) jti, sid, sub, client_id, kid, then "iat" (8, big endian, Unix seconds)
-- answers  {1 if a token that is not found may pass, else 0, for each token the kind that revokes it or 0…}
local m = redis.call("HMGET", META, "epoch", "lineage", "live", "replicas", "confirmed_ms")
local proven = m[1] and m[2] == lineage() and m[3] == m[1]
if proven and tonumber(m[4] or 0) > 0 then
	proven = m[5] and now_ms() - tonumber(m[5]) <= tonumber(ARGV[1])
end

local TOKEN, SESSION, SUBJECT, CLIENT, KEY, EVERYTHING = 1, 2, 3, 4, 5, 6
local everything = string.char(EVERYTHING) .. string.rep("\0", 16)
local function hit(token)
	local members = {}
	for kind = TOKEN, KEY do
		members[kind] = string.char(kind) .. string.sub(token, 16 * kind - 15, 16 * kind)
	end
	members[EVERYTHING] = everything
	local issued = struct.unpack(">I8", token, 81)
	local scores = redis.call("ZMSCORE", ENTRIES, unpack(members))
	for _, kind in ipairs({SESSION, TOKEN, KEY}) do
		if scores[kind] then
			return kind
		end
	end
	for _, kind in ipairs({SUBJECT, CLIENT, EVERYTHING}) do
		if scores[kind] and issued < tonumber(redis.call("HGET", CUTOFFS, members[kind]) or 0) then
			return kind
		end
	end
	return 0
end

local answer = {proven and 1 or 0}
for i = 2, #ARGV do
	answer[i] = hit(ARGV[i])
end
return answer
