"""A stand-in for the Hugging Face hub: dataset repositories in memory, by the requests that its library makes, on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["HubStandIn"]

TOKEN = "hf_secret_of_the_test"


@dataclass
class HubStandIn:
    """repositories: name -> path -> content, of the newest commit. commits: repository, message and whether it is a proposal.
    heard: the bodies of all requests that were not downloads. tokens: what was sent as authorization. down: answer everything with 503.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[tuple[str, str, bool]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    objects: dict[str, bytes] = field(default_factory=dict)
    down: bool = False

    def __enter__(self) -> HubStandIn:
        stand_in = self

        class Handler(_Handler):
            hub = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def commit_of(self, repository: str) -> str:
        files = self.repositories[repository]
        return hashlib.sha1(repr(sorted((p, hashlib.sha1(c).digest()) for p, c in files.items())).encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self) -> tuple[list[str], dict[str, list[str]]] | None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        size = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(size)
        if self.body:
            self.hub.heard.append(self.body)
        if self.hub.down:
            self._answer(503, {"error": "closed for today"})
            return None
        found = urlsplit(self.path)
        return [unquote(part) for part in found.path.strip("/").split("/")], parse_qs(found.query)

    def _missing(self, code: str) -> None:
        self._answer(404, {"error": code}, X_Error_Code=code)

    def do_GET(self) -> None:
        if (begun := self._begin()) is None:
            return None
        match begun[0]:
            case ["api", "datasets", owner, name, *rest]:
                repository = f"{owner}/{name}"
                if repository not in self.hub.repositories:
                    return self._missing("RepoNotFound")
                match rest:
                    case [] | ["revision", _]:
                        self._answer(200, {"id": repository, "sha": self.hub.commit_of(repository), "siblings": []})
                    case ["tree", _, *folder]:
                        self._tree(repository, "/".join(folder))
                    case _:
                        self._missing("EntryNotFound")
            case ["datasets", owner, name, "resolve", commit, *path]:
                self._file(f"{owner}/{name}", commit, "/".join(path))
            case _:
                self._missing("EntryNotFound")
        return None

    do_HEAD = do_GET

    def _tree(self, repository: str, folder: str) -> None:
        files = {p: c for p, c in self.hub.repositories[repository].items() if p.startswith(f"{folder}/")}
        if not files:
            return self._missing("EntryNotFound")
        return self._answer(
            200, [{"type": "file", "oid": "0" * 40, "size": len(content), "path": path} for path, content in files.items()]
        )  # fmt: skip

    def _file(self, repository: str, commit: str, path: str) -> None:
        content = self.hub.repositories.get(repository, {}).get(path)
        if content is None:
            return self._missing("EntryNotFound")
        return self._answer(
            200, content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit=self.hub.commit_of(repository)
        )  # fmt: skip

    def do_PUT(self) -> None:
        if (begun := self._begin()) is None:
            return
        oid = begun[0][-1]
        good = hashlib.sha256(self.body).hexdigest() == oid
        if good:
            self.hub.objects[oid] = self.body
        self._answer(200 if good else 400)

    def do_POST(self) -> None:
        if (begun := self._begin()) is None:
            return None
        path, query = begun
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid username or password."})
        match path:
            case ["api", "repos", "create"]:
                asked = json.loads(self.body)
                repository = f"{asked['organization']}/{asked['name']}"
                known = repository in self.hub.repositories
                self.hub.repositories.setdefault(repository, {})
                self._answer(409 if known else 200, {"url": f"{self.hub.address}/datasets/{repository}"})
            case ["api", "datasets", _, _, "preupload", _]:
                files = [
                    {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(".gz") else "regular", "shouldIgnore": False}
                    for file in json.loads(self.body)["files"]
                ]  # fmt: skip
                self._answer(200, {"files": files})
            case [*_, "info", "lfs", "objects", "batch"]:
                objects = [
                    {**asked, "actions": {"upload": {"href": f"{self.hub.address}/upload/{asked['oid']}"}}}
                    for asked in json.loads(self.body)["objects"]
                ]
                self._answer(200, {"transfer": "basic", "objects": objects})
            case ["api", "datasets", owner, name, "commit", _]:
                self._commit(f"{owner}/{name}", proposed="create_pr" in query)
            case _:
                self._missing("EntryNotFound")
        return None

    def _commit(self, repository: str, proposed: bool) -> None:
        files = dict(self.hub.repositories[repository])
        message = ""
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        if not proposed:
            self.hub.repositories[repository] = files
        self.hub.commits.append((repository, message, proposed))
        page = f"{self.hub.address}/datasets/{repository}"
        self._answer(
            200, {"commitUrl": f"{page}/commit/1", "commitOid": "1" * 40, "pullRequestUrl": f"{page}/discussions/1"}
        )  # fmt: skip
