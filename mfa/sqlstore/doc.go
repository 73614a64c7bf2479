// Package sqlstore keeps second factors in an SQL database: a SQLite file, which several processes of one machine may use
// at once, or PostgreSQL, which several authd share. That may be the database of the users: the tables have names of their
// own.
//
// Nothing in the database is a credential. Secrets are sealed by package mfa, and recovery codes are there as keyed digests.
// Whoever can write to it can take factors away, and roll counters back, but cannot add a factor.
package sqlstore
