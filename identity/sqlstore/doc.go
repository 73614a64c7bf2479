// Package sqlstore keeps users in an SQL database: a SQLite file, which several processes may use at once, so that the
// command line works beside a running server.
//
// Nothing in the database is a credential: passwords are there as hashes only. Whoever can write to it can log in as
// anybody.
//
// The statements and migrations are such that PostgreSQL understands them as well; all that is SQLite's own is in
// sqlite.go.
package sqlstore
