// Package architecture keeps the floors of the house: its tests say which packages may not reach which, and why.
package architecture
