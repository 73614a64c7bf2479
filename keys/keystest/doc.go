// Package keystest holds what every store of a key ring must do: a suite for the backends, a store in memory, and faults
// on both sides of a write.
package keystest
