-- Prepended to every script here.
--
-- KEYS, the same for all, in one slot (see doc.go for what they hold):
--   [1] meta  [2] entries  [3] cutoffs  [4] changes  [5] peers
local META, ENTRIES, CUTOFFS, CHANGES, PEERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- Names the history of this server's data: another after each restart and each promotion. Nil on a replica, which may
-- lack the latest changes.
local function lineage()
	local info = redis.call("INFO", "replication")
	if not string.find(info, "role:master", 1, true) then
		return nil
	end
	return string.match(info, "master_replid:(%x+)") or string.match(redis.call("INFO", "server"), "run_id:(%x+)")
end

-- Milliseconds of the server's clock.
local function now_ms()
	local clock = redis.call("TIME")
	return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- Sequence numbers without the exponent that Lua would use above 10^14.
local function digits(n)
	return string.format("%.0f", n)
end
