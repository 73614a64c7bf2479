// Package loadtest drives a running authd as its clients do, and says how long it took and what failed. It is what
// `authd bench` runs.
//
// The load is an open loop: a [Schedule] says beforehand when each request is due, a [Mix] which operation it is, and
// latencies count from when a request was due and not from when there was a connection for it. A server that stalls for
// a second therefore has every request on its account that was due in that second, as its users would have waited
// (this is what is called coordinated omission where it is forgotten).
//
//	target, err := loadtest.Open(ctx, loadtest.Config{URLs: []string{"http://127.0.0.1:8080"}, Accounts: accounts, …})
//	report, err := target.Run(ctx, loadtest.Load{Rate: 500, Mix: mix, Duration: time.Minute})
//	report.WriteTable(os.Stdout)
//	err = target.Close(ctx) // logs out every session that it began
//
// Each logout is followed to every verifier: the guards that this package holds, as services do, and the servers
// themselves; the time until the last of them refuses is the bound that authd promises. [Search] finds the rate at
// which a server begins to be late.
//
// A run asks at most as many requests at once as it has connections, holds at most [Config.MaxSessions] sessions, and
// remembers at most 4096 ended ones. No token and no password is in a report or an error.
package loadtest
