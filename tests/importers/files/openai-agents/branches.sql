-- What AdvancedSQLiteSession of openai-agents 0.24 makes after a branch from turn 2, by hand.
CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP, updated_at TIMESTAMP);
CREATE TABLE agent_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, message_data TEXT NOT NULL, created_at TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id) ON DELETE CASCADE
);
CREATE TABLE message_structure (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, message_id INTEGER NOT NULL,
    branch_id TEXT NOT NULL DEFAULT 'main', message_type TEXT NOT NULL, sequence_number INTEGER NOT NULL,
    user_turn_number INTEGER, branch_turn_number INTEGER, tool_name TEXT, created_at TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES agent_sessions(session_id) ON DELETE CASCADE,
    FOREIGN KEY (message_id) REFERENCES agent_messages(id) ON DELETE CASCADE
);
CREATE TABLE turn_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, branch_id TEXT NOT NULL DEFAULT 'main',
    user_turn_number INTEGER NOT NULL, requests INTEGER DEFAULT 0, input_tokens INTEGER DEFAULT 0,
    output_tokens INTEGER DEFAULT 0, total_tokens INTEGER DEFAULT 0, input_tokens_details JSON,
    output_tokens_details JSON, created_at TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES agent_sessions(session_id) ON DELETE CASCADE,
    UNIQUE(session_id, branch_id, user_turn_number)
);
INSERT INTO agent_sessions VALUES ('talk', '2026-06-12 08:00:00', '2026-06-12 08:00:40');
INSERT INTO agent_messages VALUES
    (1, 'talk', '{"role": "user", "content": "One"}', '2026-06-12 08:00:01'),
    (2, 'talk', '{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "1"}]}', '2026-06-12 08:00:02'),
    (3, 'talk', '{"role": "user", "content": "Two"}', '2026-06-12 08:00:11'),
    (4, 'talk', '{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "2"}]}', '2026-06-12 08:00:12'),
    (5, 'talk', '{"role": "user", "content": "Two, again"}', '2026-06-12 08:00:31'),
    (6, 'talk', '{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]}', '2026-06-12 08:00:32'),
    (7, 'talk', '{"role": "user", "content": "Not in any branch"}', '2026-06-12 08:00:40');
INSERT INTO message_structure (session_id, message_id, branch_id, message_type, sequence_number, user_turn_number, branch_turn_number) VALUES
    ('talk', 1, 'main', 'user', 1, 1, 1), ('talk', 2, 'main', 'assistant', 2, 1, 1),
    ('talk', 3, 'main', 'user', 3, 2, 2), ('talk', 4, 'main', 'assistant', 4, 2, 2),
    ('talk', 1, 'branch_from_turn_2', 'user', 5, 1, 1), ('talk', 2, 'branch_from_turn_2', 'assistant', 6, 1, 1),
    ('talk', 5, 'branch_from_turn_2', 'user', 7, 2, 2), ('talk', 6, 'branch_from_turn_2', 'assistant', 8, 2, 2);
INSERT INTO turn_usage (session_id, branch_id, user_turn_number, requests, input_tokens, output_tokens, total_tokens, input_tokens_details, output_tokens_details) VALUES
    ('talk', 'main', 1, 1, 10, 1, 11, '{"cached_tokens": 0}', '{"reasoning_tokens": 0}'),
    ('talk', 'main', 2, 2, 30, 2, 32, '{"cached_tokens": 8}', '{"reasoning_tokens": 1}'),
    ('talk', 'branch_from_turn_2', 2, 1, 25, 3, 28, NULL, NULL);
