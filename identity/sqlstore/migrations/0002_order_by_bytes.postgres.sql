-- SQLite compares text by its bytes. A PostgreSQL database may order it by a language, and differently after an upgrade of
-- the system's libraries.
ALTER TABLE users
    ALTER COLUMN subject  TYPE TEXT COLLATE "C",
    ALTER COLUMN username TYPE TEXT COLLATE "C";
