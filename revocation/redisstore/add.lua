-- Merges entries into the set: the later expiry and the later cut-off win. Each entry that is news takes the next number
-- of the sequence and goes into the stream under it, joined with what was there.
-- ARGV[1]  the epoch that the caller knows
-- ARGV[2]… entries: kind (1 byte) id (16) cut-off (4) expires (4), big endian, Unix seconds
-- answers  the numbers, from 1, of the entries that were news
-- error    EPOCH when the set is of another epoch, or the server's data of another lineage; nothing has changed then
-- It writes even when nothing is news: the WAIT that follows waits for the writes of its own connection only, so a
-- repeat would be confirmed by replicas that lack what the first call wrote.
local stored = redis.call("HMGET", META, "epoch", "lineage", "seq")
if stored[1] ~= ARGV[1] or stored[2] ~= lineage() then
	return redis.error_reply("EPOCH the set is of another epoch")
end
local seq = tonumber(stored[3])

-- What is known of each member, kept up to date, as one may come twice.
local members, expiries, cutoffs = {}, {}, {}
for i = 2, #ARGV do
	members[i - 1] = string.sub(ARGV[i], 1, 17)
end
for i, expires in ipairs(redis.call("ZMSCORE", ENTRIES, unpack(members))) do
	expiries[members[i]] = tonumber(expires or 0)
end

local news, scores = {}, {}
for i, member in ipairs(members) do
	local cutoff, expires = struct.unpack(">I4I4", ARGV[i + 1], 18)
	local old_expires, old_cutoff = expiries[member], 0
	if cutoff > 0 then
		old_cutoff = cutoffs[member] or tonumber(redis.call("HGET", CUTOFFS, member) or 0)
	end
	if expires > old_expires or cutoff > old_cutoff then
		expires, cutoff = math.max(expires, old_expires), math.max(cutoff, old_cutoff)
		expiries[member], cutoffs[member] = expires, cutoff
		scores[#scores + 1] = expires
		scores[#scores + 1] = member
		if cutoff > 0 then
			redis.call("HSET", CUTOFFS, member, cutoff)
		end
		seq = seq + 1
		redis.call("XADD", CHANGES, digits(seq) .. "-0", "e", member .. struct.pack(">I4I4", cutoff, expires))
		news[#news + 1] = i
	end
end
if #scores > 0 then
	redis.call("ZADD", ENTRIES, unpack(scores))
end
redis.call("HSET", META, "seq", digits(seq))
return news
