//go:build !linux

package main

import "time"

// clockName says what the measured times are.
const clockName = "ns"

var started = time.Now()

// clock returns the time that has passed; there is no clock for a thread's CPU time that is the same everywhere.
func clock() time.Duration { return time.Since(started) }
