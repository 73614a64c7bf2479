-- Tells a follower where the set is. Read-only.
-- answers  {epoch, seq, oldest, live, replicas, beat, confirmed}
--   epoch      empty when there is no set that belongs to this server's data
--   seq        number of the latest change
--   oldest     number of the oldest change in the stream; seq+1 when it is empty
--   live       1 when every authd has written back what it holds
--   replicas   how many replicas confirm a heartbeat; 0 when heartbeats are not confirmed
--   beat       number of the latest heartbeat
--   confirmed  number of the latest heartbeat that replicas have confirmed
local m = redis.call("HMGET", META, "epoch", "lineage", "seq", "live", "replicas", "beat", "confirmed")
if not m[1] or m[2] ~= lineage() then
	return {"", 0, 0, 0, 0, 0, 0}
end
local seq = tonumber(m[3])
local first = redis.call("XRANGE", CHANGES, "-", "+", "COUNT", 1)[1]
local oldest = first and tonumber(string.match(first[1], "^%d+")) or seq + 1
return {
	m[1], seq, oldest, m[4] == m[1] and 1 or 0, tonumber(m[5] or 0), tonumber(m[6] or 0), tonumber(m[7] or 0),
}
