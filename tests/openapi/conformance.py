"""Holds the server of a run to its OpenAPI page, with tools that others have written.

Run as a process of a workflow: it finds the socket and its token in its environment.
Exits with 77 when a package is missing, and says which.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

SOCKET = os.environ["FORKYARD_SOCKET"]
TOKEN = os.environ["FORKYARD_TOKEN"]
MISSING = 77
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def page():
    """The page as the server hands it out."""
    connection = http.client.HTTPConnection("forkyard")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(SOCKET)
    connection.request("GET", "/v1/openapi.json")
    return json.load(connection.getresponse())


def copy(source, target):
    """Passes bytes on until there are no more."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def bridge():
    """A port of this machine that leads to the socket, for tools that know no Unix sockets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(SOCKET)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=copy, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def validate(document):
    """Whether it is an OpenAPI document at all."""
    try:
        from openapi_spec_validator import validate as is_valid
    except ImportError:
        print("skipped: openapi-spec-validator is not installed")
        return MISSING
    is_valid(document)
    print("the page is valid")
    return 0


def probe(document):
    """Sends what the page permits, and what it does not, and looks at the answers."""
    tool = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")
    if tool is None:
        print("skipped: schemathesis is not installed")
        return MISSING
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "openapi.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        command = [tool, "run", path, "--url", f"http://127.0.0.1:{bridge()}"]
        command += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS]
        command += ["--max-examples", "20", "--request-timeout", "10", "--generation-deterministic"]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, text=True)
    print("the server answers as the page says" if ended.returncode == 0 else ended.stdout)
    return ended.returncode


if __name__ == "__main__":
    document = page()
    codes = [validate(document), probe(document)]
    failures = [code for code in codes if code not in (0, MISSING)]
    sys.exit(failures[0] if failures else max(codes))
