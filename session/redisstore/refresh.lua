-- Applies the rule of session.Decide to a presented generation, and writes what follows from it.
-- KEYS[1]  the record, see record.go
-- ARGV     presented generation, client address (JSON), idle limit, absolute limit (µs, rounded up), grace (µs, rounded
--          down), greatest number of replays, how long ended and expired sessions stay (µs)
-- answers  {now (µs), outcome, record, address (JSON)}: the number of a session.Outcome, the record as it is now, after
--          Reused as it was, and the address of the use before; {now, 0, record or ""} when the session is not live, and
--          nothing was written
local ROTATED, REPLAYED, ADOPTED, REUSED = 1, 2, 3, 4 -- the numbers in session/chain.go
local presented, address = tonumber(ARGV[1]), ARGV[2]
local idle, absolute, grace = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local max_replays, keep = tonumber(ARGV[6]), tonumber(ARGV[7])
local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]

local function write(record, expiry)
	redis.call("SET", KEYS[1], record, "PXAT", string.format("%.0f", math.ceil((expiry + keep) / 1000)))
end

local stored = redis.call("GET", KEYS[1])
local generation, since, replays, created, used, subject, previous, rest =
	string.match(stored or "", "^live (%d+) (%d+) (%d+) (%d+) (%d+)\n([^\n]*)\n([^\n]*)\n(.*)$")
if rest == nil then
	if stored and string.sub(stored, 1, 6) ~= "ended " then
		return redis.error_reply("ERR authd: unreadable session record")
	end
	return {now, 0, stored or ""}
end
generation, since, replays = tonumber(generation), tonumber(since), tonumber(replays)
if now >= math.min(used + idle, created + absolute) then
	return {now, 0, stored}
end

local outcome
local recent = math.abs(now - since) <= grace
if presented > generation then
	outcome, generation, since, replays = ADOPTED, presented, now, 0
elseif presented == generation and not recent then
	outcome, generation, since, replays = ROTATED, generation + 1, now, 0
elseif generation - presented <= 1 and recent and replays < max_replays then
	outcome, replays = REPLAYED, replays + 1
else
	write(string.format("ended %.0f\n", now) .. subject, now)
	return {now, REUSED, stored, previous}
end

local first = string.format("live %.0f %.0f %.0f %s %.0f\n", generation, since, replays, created, now)
local record = first .. subject .. "\n" .. address .. "\n" .. rest
write(record, math.min(now + idle, created + absolute))
return {now, outcome, record, previous}
