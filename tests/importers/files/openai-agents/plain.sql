-- What SQLiteSession of openai-agents 0.24 makes, by hand.
CREATE TABLE agent_sessions (
    session_id TEXT PRIMARY KEY,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE agent_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    message_data TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id) ON DELETE CASCADE
);
CREATE INDEX idx_agent_messages_session_id ON agent_messages (session_id, id);
INSERT INTO agent_sessions VALUES ('user-123', '2026-06-10 08:00:00', '2026-06-10 08:00:09'), ('user/456', '2026-06-11 08:00:00', '2026-06-11 08:00:00');
INSERT INTO agent_messages VALUES
    (1, 'user-123', '{"content": "Weather?", "role": "user"}', '2026-06-10 08:00:01'),
    (2, 'user/456', '{"content": [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}], "role": "user"}', '2026-06-11 08:00:00'),
    (3, 'user-123', '{"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}", "status": "completed"}', '2026-06-10 08:00:05'),
    (4, 'user-123', '{"type": "function_call_output", "call_id": "call_1", "output": "4"}', '2026-06-10 08:00:05'),
    (5, 'user-123', '{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "4 degrees", "annotations": []}]}', '2026-06-10 08:00:09');
