"""The names of attributes and metrics: OpenTelemetry's where its conventions have one, under our own prefix elsewhere.

Those of databases are stable (semantic conventions 1.44). Those of generative AI are in development, and are taken from
the release 0.1.0 of their own repository. Its metrics of tokens and of agents' durations are not taken: instrumented
clients and frameworks report the same requests under these names, and whoever sums them would count twice.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "a2a_session_manager"

CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_OPERATION: Final = "gen_ai.operation.name"
AGENT_NAME: Final = "gen_ai.agent.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
TOKEN_TYPE: Final = "gen_ai.token.type"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
INVOKE_AGENT: Final = "invoke_agent"

DB_SYSTEM: Final = "db.system.name"
DB_COLLECTION: Final = "db.collection.name"
DB_OPERATION: Final = "db.operation.name"
BATCH_SIZE: Final = "db.operation.batch.size"
ROWS: Final = "db.response.returned_rows"
ERROR_TYPE: Final = "error.type"
OTHER_ERROR: Final = "_OTHER"
SESSIONS: Final = "sessions"

NAMESPACE: Final = f"{SCOPE}.namespace"
RUN_ID: Final = f"{SCOPE}.run.id"
RUN_STATUS: Final = f"{SCOPE}.run.status"
RUN_COST: Final = f"{SCOPE}.run.cost_usd"
EVENTS: Final = f"{SCOPE}.commit.events"
BYTES: Final = f"{SCOPE}.commit.bytes"
REVISION: Final = f"{SCOPE}.commit.revision"
IS_REPEAT: Final = f"{SCOPE}.commit.is_repeat"
