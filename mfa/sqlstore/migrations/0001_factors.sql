-- Times are microseconds since 1970. BYTEA is PostgreSQL's name of a type that SQLite has without one.
CREATE TABLE factor_keys (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), -- there is one row
	master_id TEXT NOT NULL,                          -- of the key-encryption key
	sealed BYTEA NOT NULL
);
CREATE TABLE factors (
	id TEXT NOT NULL PRIMARY KEY,
	subject TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	credential BYTEA UNIQUE, -- of a passkey; NULL for others
	sealed BYTEA NOT NULL,
	counter BIGINT NOT NULL, -- the last step of an app, the signature counter of a passkey
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL  -- 0 for never
);
CREATE INDEX factors_subject ON factors (subject);
CREATE TABLE factor_recovery_codes (
	subject TEXT NOT NULL,
	digest BYTEA NOT NULL,
	PRIMARY KEY (subject, digest)
);
CREATE TABLE factor_spent (
	name BYTEA NOT NULL PRIMARY KEY,
	until BIGINT NOT NULL
);
CREATE INDEX factor_spent_until ON factor_spent (until);
