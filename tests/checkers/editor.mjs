// Drives the YAML language server over stdio as an editor does, and prints as JSON what it says.
//
// usage: editor.mjs SERVER SCHEMA REQUESTS
// REQUESTS is a file with a JSON list of {"text": …, "at": [[line, character], …]}; the answer is a list of
// {"diagnostics": [{"line": …, "message": …}], "completions": [[{"label": …, "documentation": …}, …], …]}.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [server, schema, requests] = process.argv.slice(2);
const child = spawn(process.execPath, [server, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map();
const published = new Map();
let buffer = Buffer.alloc(0);
let id = 0;

const settings = {
  yaml: { schemas: { [pathToFileURL(schema).href]: "*.yaml" }, validate: true, completion: true, hover: true,
          schemaStore: { enable: false } },
  http: {}, editor: {}, files: {},
};

function send(message) {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function ask(method, params) {
  send({ id: ++id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function receive(message) {
  if (message.method === "workspace/configuration") {
    const result = message.params.items.map((item) => settings[item.section] ?? null);
    send({ id: message.id, result });
  } else if (message.method === "textDocument/publishDiagnostics") {
    published.get(message.params.uri)?.(message.params.diagnostics);
  } else if (message.id !== undefined && message.method === undefined) {
    const { resolve, reject } = waiting.get(message.id);
    message.error ? reject(new Error(message.error.message)) : resolve(message.result);
  } else if (message.id !== undefined) {
    send({ id: message.id, result: null });
  }
}

child.stdout.on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  for (;;) {
    const head = buffer.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(buffer.subarray(0, head).toString())[1]);
    if (buffer.length < head + 4 + length) return;
    const body = buffer.subarray(head + 4, head + 4 + length).toString();
    buffer = buffer.subarray(head + 4 + length);
    receive(JSON.parse(body));
  }
});

await ask("initialize", {
  processId: process.pid,
  rootUri: null,
  capabilities: {
    workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: true } },
    textDocument: { completion: { completionItem: { snippetSupport: true, documentationFormat: ["markdown", "plaintext"] } } },
  },
});
send({ method: "initialized", params: {} });
send({ method: "workspace/didChangeConfiguration", params: { settings } });

const requested = JSON.parse(readFileSync(requests, "utf8"));
const uris = requested.map((_, number) => `file:///workflow-${number}.yaml`);
const found = uris.map((uri) => new Promise((resolve) => published.set(uri, resolve)));
for (const [number, { text }] of requested.entries()) {
  const textDocument = { uri: uris[number], languageId: "yaml", version: 1, text };
  send({ method: "textDocument/didOpen", params: { textDocument } });
}
const answers = [];
for (const [number, { at = [] }] of requested.entries()) {
  const diagnostics = (await found[number]).map(({ range, message }) => ({ line: range.start.line + 1, message }));
  const completions = [];
  for (const [line, character] of at) {
    const position = { line, character };
    const answer = await ask("textDocument/completion", { textDocument: { uri: uris[number] }, position });
    const items = answer?.items ?? answer ?? [];
    completions.push(items.map(({ label, documentation }) => ({
      label, documentation: typeof documentation === "string" ? documentation : documentation?.value ?? "",
    })));
  }
  answers.push({ diagnostics, completions });
}
console.log(JSON.stringify(answers));
await ask("shutdown");
send({ method: "exit" });
child.stdin.end();
