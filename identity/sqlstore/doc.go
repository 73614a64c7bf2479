// Package sqlstore keeps users in an SQL database: a SQLite file, which several processes of one machine may use at once,
// or PostgreSQL, which several authd share.
//
// Nothing in the database is a credential: passwords are there as hashes only. Whoever can write to it can log in as
// anybody.
//
// Both databases understand the same statements. What is one's own is in package sqldb, and in migrations that carry its
// name. Both answer alike: names are folded before they reach the database, and it compares and orders
// them by their bytes.
package sqlstore
