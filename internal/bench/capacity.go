package main

import (
	"fmt"
	"math"
	"slices"
)

// Demand is how much somebody asks of an installation.
type Demand struct {
	Name        string
	Users       float64
	DailyLogins float64
	Verifiers   float64 // processes that hold a mirror
}

// demands go up to the internet.
func demands() []Demand {
	return []Demand{
		{"a company", 1e4, 1e4, 20}, {"a city", 1e6, 3e5, 500}, {"a country", 5e7, 1e7, 5e3}, {"the internet", 1e9, 1e8, 1e5},
	}
}

// What the arithmetic takes for granted; the page says so. Times are seconds.
const (
	tokenLife   = 600.0  // access-ttl
	tokenLeeway = 30.0   // for as long, a revocation is kept beyond the token's life
	peak        = 3.0    // times the mean of a day
	day         = 86400. // s
	sessionDays = 7.0    // session-idle: how long a session is kept after its last use
	activeHours = 1.0    // in which a client of a session uses it, and so refreshes
	logoutShare = 0.1    // of all sessions that begin; the others end by themselves
	pace        = 0.1    // requests of an active session a second, each verified

	machineCores   = 32.0
	machineNetwork = 1.25e9 // bytes/s: 10 Gbit/s
	machineMemory  = 64.0 * (1 << 30)
	redisScripts   = 50_000.0 // a second that one primary bears
	databaseRows   = 1e8      // accounts that one PostgreSQL holds without anybody noticing
	mirrorMemory   = 1 << 30  // that a verifier gives to its mirror
)

// costs are the points, by what the arithmetic needs of them.
type costs struct {
	login, refresh, pair      float64 // s of server CPU
	session, revoked          float64 // bytes in Redis
	mirror                    float64 // bytes an entry, at a verifier
	feedIdle, feedEntry       float64 // bytes/s a verifier, and bytes for an entry
	feedIdleCPU, feedEntryCPU float64 // s of server CPU each second for a verifier, and for an entry to a verifier
	user                      float64 // bytes
	verify                    float64 // s of a service's CPU for a token seen before
}

func (p *Points) costs() costs {
	of := func(name string) float64 {
		i := slices.IndexFunc(p.Operations, func(o OperationCost) bool { return o.Name == name })
		return p.Operations[i].CPU / 1e6
	}
	last := p.Sessions[len(p.Sessions)-1]
	c := costs{
		login: of("login, argon2id"), refresh: of("refresh, Redis"), pair: 2 * of(namePair),
		session: last.Redis, revoked: last.Revocation, mirror: p.Mirrors[len(p.Mirrors)-1].Bytes,
		user: p.Users[len(p.Users)-1].Bytes, verify: p.Verify.Seen / 1e9,
	}
	// Feeds come in pairs: without logouts and with some, with few verifiers and with the most.
	few, fewBusy, many, manyBusy := p.Feeds[0], p.Feeds[1], p.Feeds[len(p.Feeds)-2], p.Feeds[len(p.Feeds)-1]
	more := float64(many.Verifiers - few.Verifiers)
	c.feedIdle = many.Bytes
	c.feedEntry = max(0, manyBusy.Bytes-many.Bytes) / manyBusy.Logouts
	c.feedIdleCPU = max(0, many.CPU-few.CPU) / more
	c.feedEntryCPU = max(0, manyBusy.CPU-fewBusy.CPU-more*c.feedIdleCPU) / (more * manyBusy.Logouts)
	return c
}

// need is what a demand comes to.
type need struct {
	logins, refreshes, logouts, verified float64 // a second, at the peak
	active, sessions, revocations        float64 // at the peak
	hashCores, refreshCores, pairCores   float64
	feedCores, feedNetwork               float64 // of all authd together; bytes/s
	feedEach                             float64 // bytes/s to one verifier
	redisScripts, redisMemory            float64
	mirrorMemory                         float64 // at each verifier
	verifyCores                          float64 // of all services together
	usersDisk                            float64
}

func (c costs) need(d Demand) need {
	n := need{logins: peak * d.DailyLogins / day}
	n.logouts = logoutShare * n.logins
	n.sessions = d.DailyLogins * sessionDays
	n.active = n.logins * activeHours * 3600
	n.refreshes = n.active / tokenLife
	n.verified = pace * n.active
	n.revocations = n.logouts * (tokenLife + tokenLeeway)
	n.hashCores = n.logins * c.login
	n.refreshCores = n.refreshes * c.refresh
	n.pairCores = n.logouts * c.pair
	n.feedEach = c.feedIdle + n.logouts*c.feedEntry
	n.feedNetwork = d.Verifiers * n.feedEach
	n.feedCores = d.Verifiers * (c.feedIdleCPU + n.logouts*c.feedEntryCPU)
	n.redisScripts = n.logins + n.refreshes + 2*n.logouts
	n.redisMemory = n.sessions*c.session + n.revocations*c.revoked
	n.mirrorMemory = n.revocations * c.mirror
	n.verifyCores = n.verified * c.verify
	n.usersDisk = d.Users * c.user
	return n
}

// resource is a part of an installation that can be the first to break.
type resource struct {
	name   string
	load   float64 // in units of what one has: above 1, one is not enough
	remedy string
}

// resources are all that may break, the most loaded first.
func (n need) resources(d Demand) []resource {
	all := []resource{
		{"authd: hashing passwords", n.hashCores / machineCores, "more authd: hashing shares nothing. Longer sessions and single sign-on save logins"},
		{"authd: the feed's processor time", n.feedCores / machineCores, "more authd: each serves a part of the verifiers. One mirror for a machine or a gateway instead of one for each process"},
		{"authd: the feed's network", n.feedNetwork / machineNetwork, "as for its processor time"},
		{"authd: refreshing", n.refreshCores / machineCores, "more authd; a longer `access-ttl`"},
		{"Redis: scripts", n.redisScripts / redisScripts, "Redis Cluster, where sessions spread over shards; a longer `access-ttl`"},
		{"Redis: memory", n.redisMemory / machineMemory, "Redis Cluster; a shorter `session-idle`"},
		{"users: rows of the database", d.Users / databaseRows, "a partitioned PostgreSQL, a directory that exists already, or several sources of users"},
		{"a verifier: memory of its mirror", n.mirrorMemory / mirrorMemory, "a shorter `access-ttl`, as revocations live no longer than tokens"},
	}
	slices.SortStableFunc(all, func(a, b resource) int {
		switch {
		case a.load > b.load:
			return -1
		case a.load < b.load:
			return 1
		}
		return 0
	})
	return all
}

// amount writes a number for people.
func amount(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if math.Abs(v) >= unit.size {
			return significant(v/unit.size) + unit.name
		}
	}
	return significant(v)
}

// bytesOf writes an amount of memory.
func bytesOf(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if v >= unit.size {
			return significant(v/unit.size) + " " + unit.name
		}
	}
	return significant(v) + " B"
}

// steps are the arithmetic for one demand, as it would be written on paper.
func (c costs) steps(d Demand) []string {
	n := c.need(d)
	return []string{
		fmt.Sprintf("logins: %s a day ÷ %.0f s × %.0f at the peak = **%s/s**, × %s ms for the hash = **%s cores**",
			amount(d.DailyLogins), day, peak, amount(n.logins), significant(c.login*1e3), amount(n.hashCores)),
		fmt.Sprintf("sessions: %s a day × %.0f days = **%s**, × %s B in Redis = **%s**", amount(d.DailyLogins), sessionDays, amount(n.sessions),
			significant(c.session), bytesOf(n.redisMemory)),
		fmt.Sprintf("in use at the peak: %s logins/s × %.0f h × 3600 s = **%s sessions**", amount(n.logins), activeHours, amount(n.active)),
		fmt.Sprintf("refreshes: %s sessions ÷ %.0f s = **%s/s**, × %s µs = **%s cores** of authd", amount(n.active), tokenLife, amount(n.refreshes),
			significant(c.refresh*1e6), amount(n.refreshCores)),
		fmt.Sprintf("scripts in Redis: logins + refreshes + 2 × logouts = **%s/s**", amount(n.redisScripts)),
		fmt.Sprintf("logouts: %.0f %% of the logins = **%s/s**; × (%.0f + %.0f) s = **%s revocations** that live, × %s B = **%s at each verifier**",
			100*logoutShare, amount(n.logouts), tokenLife, tokenLeeway, amount(n.revocations), significant(c.mirror), bytesOf(n.mirrorMemory)),
		fmt.Sprintf("feed to one verifier: %s B/s + %s logouts/s × %s B = **%s/s**", significant(c.feedIdle), amount(n.logouts), significant(c.feedEntry), bytesOf(n.feedEach)),
		fmt.Sprintf("feed to all: × %s verifiers = **%s/s**; and %s × (%s µs/s + %s logouts/s × %s µs) = **%s cores**", amount(d.Verifiers), bytesOf(n.feedNetwork),
			amount(d.Verifiers), significant(c.feedIdleCPU*1e6), amount(n.logouts), significant(c.feedEntryCPU*1e6), amount(n.feedCores)),
		fmt.Sprintf("verified requests: %s sessions × %s a second = **%s/s**, × %s ns = **%s cores** of all services together, and none of authd's",
			amount(n.active), significant(pace), amount(n.verified), significant(c.verify*1e9), amount(n.verifyCores)),
		fmt.Sprintf("accounts: %s × %s B = **%s**", amount(d.Users), significant(c.user), bytesOf(n.usersDisk)),
	}
}
