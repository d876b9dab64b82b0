-- Tables of other names, an EncryptedSession's envelope, and what is no item, by hand.
CREATE TABLE "my sessions" (session_id TEXT PRIMARY KEY, created_at TIMESTAMP, updated_at TIMESTAMP);
CREATE TABLE "my ""messages""" (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, message_data TEXT NOT NULL, created_at TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES "my sessions" (session_id) ON DELETE CASCADE
);
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
INSERT INTO "my sessions" VALUES ('odd', '2026-06-13 08:00:00', '2026-06-13 08:00:03');
INSERT INTO "my ""messages""" VALUES
    (1, 'odd', '{"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": "gAAAAAB"}', '2026-06-13 08:00:01'),
    (2, 'odd', 'no JSON', '2026-06-13 08:00:02'),
    (3, 'odd', '["a", "list"]', NULL),
    (4, 'odd', '{"role": "user", "content": "Hi"}', '2026-06-13 08:00:03');
