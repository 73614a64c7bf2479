-- The heartbeat of one authd: renews its place among the peers, begins an epoch where the set has none that belongs to
-- this server's data, and takes the set live once every peer has written back what it holds.
-- ARGV[1]   the peer
-- ARGV[2]   how long it counts as a peer without another heartbeat, ms
-- ARGV[3]   the epoch that it has seen last, or empty
-- ARGV[4]   the epoch under which it has written back what it holds, or empty
-- ARGV[5]   the epochs whose set it holds, each in commas; empty when none
-- ARGV[6]   how many replicas confirm heartbeats
-- ARGV[7]   the name of a new epoch; empty: begin none
-- ARGV[8]   the latest epoch that was remembered outside of this server, or empty; for a new epoch only
-- ARGV[9]   1 when the set is known never to have existed; for a new epoch only
-- ARGV[10]… the peers that it has seen last
-- answers  {epoch, live, beat, now (ms), begun, lost, other peers…}
--   epoch  empty when there is none and none was begun; the rest says nothing then
--   begun  1 when this call has begun it
--   lost   the epoch whose entries nobody here has held, which keeps the set from going live, or empty
local id, lease = ARGV[1], tonumber(ARGV[2])
local seen, written_back, held = ARGV[3], ARGV[4], ARGV[5]
local name, remembered, first_start = ARGV[7], ARGV[8], ARGV[9] == "1"

local function holds(epoch)
	return string.find(held, "," .. epoch .. ",", 1, true) ~= nil
end

local here = lineage()
if not here then
	return redis.error_reply("NOTMASTER this server is a replica")
end
local now = now_ms()
local function unconfirmed()
	return digits(now + lease) .. " "
end

local stored = redis.call("HMGET", META, "epoch", "lineage")
local epoch, begun = stored[1], 0
if not epoch or stored[2] ~= here then
	if name == "" then
		return {"", 0, 0, now, 0, ""}
	end
	if not epoch then -- what may be left must not be taken for changes of the new sequence
		redis.call("DEL", META, CHANGES)
	end
	-- The sequence goes on, so that numbers in the stream keep rising.
	redis.call("HSETNX", META, "seq", 0)
	redis.call("HDEL", META, "confirmed", "confirmed_ms", "mark_ms", "mark_seq")
	redis.call("HSET", META, "epoch", name, "lineage", here)
	-- Leases were granted by the clock of another server, perhaps. "?" stands for peers that nobody here knows of.
	for _, peer in ipairs(redis.call("HKEYS", PEERS)) do
		redis.call("HSET", PEERS, peer, unconfirmed())
	end
	if held == "" and not first_start then
		redis.call("HSET", PEERS, "?", unconfirmed())
	end
	if remembered ~= "" and remembered ~= epoch and not holds(remembered) then
		redis.call("HSET", META, "lost", remembered)
	end
	epoch, begun = name, 1
end

if seen ~= epoch then
	for i = 10, #ARGV do
		redis.call("HSETNX", PEERS, ARGV[i], unconfirmed())
	end
end
if held ~= "" then
	redis.call("HDEL", PEERS, "?")
	local lost = redis.call("HGET", META, "lost")
	if lost and holds(lost) then
		redis.call("HDEL", META, "lost")
	end
end
redis.call("HSET", PEERS, id, digits(now + lease) .. " " .. written_back)

local others, all = {}, written_back == epoch
local peers = redis.call("HGETALL", PEERS)
for i = 1, #peers, 2 do
	local expires, confirmed = string.match(peers[i + 1], "^(%d+) (.*)$")
	if tonumber(expires) <= now then
		redis.call("HDEL", PEERS, peers[i])
	else
		all = all and confirmed == epoch
		if peers[i] ~= id and peers[i] ~= "?" then
			others[#others + 1] = peers[i]
		end
	end
end

local lost = redis.call("HGET", META, "lost") or ""
if all and lost == "" then
	redis.call("HSET", META, "live", epoch)
end
local live = redis.call("HGET", META, "live") == epoch and 1 or 0
redis.call("HSET", META, "replicas", ARGV[6])
local beat = redis.call("HINCRBY", META, "beat", 1)
return {epoch, live, beat, now, begun, lost, unpack(others)}
