-- Prepended to both scripts.
-- KEYS[1]  the hash tag of what is kept:
--   :at    a sorted set of verifiers by the time of their latest report, in Unix milliseconds
--   :what  a hash of verifiers, each with "held from"
--   :kept  a hash: "lineage" of the server's data, and "since" when the reports are complete
-- All of them go when nobody has used them for as long as a report counts: whoever begins then begins anew.
local AT, WHAT, KEPT = KEYS[1] .. ":at", KEYS[1] .. ":what", KEYS[1] .. ":kept"

-- Names the history of this server's data: another after each restart and each promotion.
local info = redis.call("INFO", "replication")
local lineage = string.match(info, "master_replid:(%x+)") or string.match(redis.call("INFO", "server"), "run_id:(%x+)")

-- Answers since when the reports are complete: what this server has lost, or never had, begins anew now. It always writes.
local function since(now, keep_for)
	local kept = redis.call("HMGET", KEPT, "lineage", "since")
	if kept[1] ~= lineage or not kept[2] then
		redis.call("HSET", KEPT, "lineage", lineage, "since", now)
		kept[2] = now
	end
	redis.call("PEXPIRE", KEPT, keep_for)
	return kept[2]
end
