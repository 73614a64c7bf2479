-- What the change of an account leaves to be done, in the same transaction: its sessions are to be ended.
CREATE TABLE pending_ends (
    id         TEXT   NOT NULL PRIMARY KEY, -- 128 random bits, base64url
    subject    TEXT   NOT NULL,             -- the account's, which may be gone
    changed_at BIGINT NOT NULL              -- microseconds since 1970, UTC
);
