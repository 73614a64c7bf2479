// Command bench measures what authd costs, each thing beside its floor or its peers in the same run and in turns, so that
// a busy machine slows all of them alike:
//
//   - verifying a token, beside the bare signature check and the libraries that Go services use otherwise, and the
//     revocation check by itself, all in one process;
//   - the routes of a running authd, on its embedded default and on Redis, beside an empty handler in another process;
//   - a mixed load of all operations and the most that it bears of one, by `authd bench`;
//   - the time from an acknowledged logout to its refusal in another process, and what a million revocations take.
//
// It prints tables and then holds the results against the budgets of the design; it exits with 1 when one is missed. With
// -page it also writes docs/performance.md and its plots. It runs in its own folder, builds authd, and starts the
// redis-server of the distribution; everything it makes is in a temporary folder.
//
// It is a module of its own, so that the peers stay out of authd's dependencies.
package main
