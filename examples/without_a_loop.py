"""Sessions in code without an event loop, as in Flask or Streamlit: many threads share one manager, whose verbs block.

To run: python examples/without_a_loop.py
It prints: what two visitors of a tiny web server said, each of whose requests is answered by a thread of its own.
"""

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from a2a_session_manager.sync import SyncSessionManager

sessions = SyncSessionManager.from_url("memory:")  # it begins its loop with the first verb: after a server has forked


class Chat(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        visitor, said = self.path.strip("/"), self.rfile.read(int(self.headers["Content-Length"])).decode()
        with sessions.open(visitor) as chat, chat.run(agent="echo") as run:
            run.user(said)
            reply = f"You said {len(run.messages())} things: {said}"
            run.assistant(reply, model="gpt-4o", usage={"prompt_tokens": 10, "completion_tokens": 5})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(reply.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server, sessions:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        for visitor, said in (("ann", "Hello!"), ("bob", "Hi."), ("ann", "Still there?")):
            with urllib.request.urlopen(f"{address}/{visitor}", data=said.encode()) as answer:
                print(f"{visitor}: {answer.read().decode()}")
        server.shutdown()
        for visitor in sorted(sessions.list_sessions()):
            print(f"{visitor}: {sessions.usage(visitor).total_tokens} tokens in {len(sessions.runs(visitor))} runs")


main()
