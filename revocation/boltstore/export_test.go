package boltstore

import "context"

// Sweep is one round of Run.
func (s *Store) Sweep(ctx context.Context) (deleted int, err error) { return s.sweep(ctx) }
