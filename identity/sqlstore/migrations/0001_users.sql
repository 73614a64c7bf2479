-- The SQL here is understood by SQLite and PostgreSQL alike. Times are microseconds since 1970, UTC.
CREATE TABLE users (
    subject             TEXT    NOT NULL PRIMARY KEY, -- 128 random bits, base64url
    username            TEXT    NOT NULL UNIQUE,      -- as identity.NormalizeUsername returns it
    password_hash       TEXT    NOT NULL,             -- PHC string or bcrypt; empty: no password, no login
    disabled            BOOLEAN NOT NULL,
    roles               TEXT    NOT NULL,             -- separated by spaces, sorted
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL,
    password_changed_at BIGINT  NOT NULL              -- 0: never set here
);
