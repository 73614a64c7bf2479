// Command bench measures what verifying a token costs: authd beside the bare signature check and beside the libraries
// that Go services use otherwise, all in one process and in turns, so that a busy machine slows all of them alike. It
// prints a table and then holds the result against the budgets of the design; it exits with 1 when one is missed.
//
// It is a module of its own, so that the peers stay out of authd's dependencies.
package main
