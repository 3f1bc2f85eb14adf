// A stand-in for `martlet server` in tests of the page and for work on it: serves `web/` under the real server's
// content security policy, answers the API from made-up runs, streams events, and fails or delays on request.
//
//   node Tests/Web/fake_server.mjs [--port 0] [--auth] [--live] [--empty]
//
// Prints its address. POST /fake/fail?path=/runs&count=2&status=503, /fake/delay?path=/log&ms=800, /fake/cut (ends all
// streams), /fake/down?ms=3000 (streams are refused for so long), /fake/step (the live run goes on), /fake/new (a run).

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Answer, fail } from "./fake_answer.mjs";
import { world } from "./fake_world.mjs";

const { values: options } = parseArgs({ options: {
  port: { type: "string", default: "0" }, auth: { type: "boolean" }, live: { type: "boolean" }, empty: { type: "boolean" },
  web: { type: "string" },
} });
const web = options.web ?? join(dirname(fileURLToPath(import.meta.url)), "../../web");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".md": "text/plain" };
const SECURITY = {
  "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-cache",
};

export const fake = {
  world: world({ empty: options.empty }),
  streams: new Set(),
  faults: [], // {path, count, status}
  delays: [], // {path, ms}
  downUntil: 0,
  signedIn: !options.auth,
  requests: [], // what pages asked to write, for tests
};

const routes = [...(await import("./fake_routes.mjs")).routes(fake)];
try {
  routes.unshift(...(await import("./fake_forms.mjs")).routes(fake, { Answer, fail }));
} catch (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
}

function send(stream, name, data) {
  stream.response.write(`id: ${fake.world.revision}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Tells all streams what changed: `fake.tell({runs: [uid], nodes: {uid: [id]}})`. */
fake.tell = ({ runs = [], nodes = {}, deleted = [], logs = [], metrics = [] }) => {
  for (const stream of fake.streams) {
    const { run, log, namespace } = stream.query;
    const items = runs.map((uid) => fake.world.runs.get(uid)).filter((item) => item && (!namespace || item.namespace === namespace));
    if (items.length) send(stream, "runs", { items: items.map(fake.world.summary) });
    if (deleted.length) send(stream, "deleted", { items: deleted });
    if (run && nodes[run]) {
      const item = fake.world.runs.get(run);
      const changed = item.nodes.filter((node) => nodes[run].includes(node.id));
      // As the real server does: children are left out, parents tell them.
      const told = changed.map(({ children, ...node }) => ({ ...node, parents: item.nodes.filter((one) => one.children.includes(node.id)).map(({ id }) => id) }));
      send(stream, "run", { uid: run, revision: item.revision, whole: false, summary: fake.world.summary(item), nodes: told });
    }
    for (const told of metrics) if (run === told.uid) send(stream, "metrics", told);
    for (const told of logs) if (log === "*" || (log && told.node === log)) send(stream, "log", log === "*" ? { ...told, node: "*" } : told);
  }
};

function openStream(request, response, url) {
  if (!fake.signedIn) return reply(response, 401, { code: 16, message: "sign in", details: [] });
  if (Date.now() < fake.downUntil) return reply(response, 503, { code: 14, message: "the server is starting", details: [] });
  response.writeHead(200, { ...SECURITY, "Content-Type": "text/event-stream" });
  const stream = { response, query: Object.fromEntries(url.searchParams) };
  fake.streams.add(stream);
  response.on("close", () => fake.streams.delete(stream));
  send(stream, "hello", { revision: fake.world.revision, serverTime: new Date().toISOString(), version: "0.6.0" });
  const since = Number(stream.query.since ?? request.headers["last-event-id"] ?? fake.world.revision);
  const missed = [...fake.world.runs.values()].filter((run) => run.revision > since);
  if (missed.length) send(stream, "runs", { items: missed.slice(0, 200).map(fake.world.summary) });
  const run = fake.world.runs.get(stream.query.run);
  if (run && run.revision > since) {
    send(stream, "run", { uid: run.uid, revision: run.revision, whole: true, summary: fake.world.summary(run), nodes: run.nodes });
  }
}
setInterval(() => fake.streams.forEach(({ response }) => response.write(": still here\n\n")), 10_000).unref();

function reply(response, status, body, headers = {}) {
  response.writeHead(status, { ...SECURITY, "Content-Type": "application/json", ...headers });
  response.end(body instanceof Buffer || typeof body === "string" ? body : JSON.stringify(body));
}

async function controls(url, response) {
  const query = Object.fromEntries(url.searchParams);
  const verb = url.pathname.split("/")[2];
  if (verb === "fail") fake.faults.push({ path: query.path, count: Number(query.count ?? 1), status: Number(query.status ?? 500) });
  if (verb === "delay") fake.delays.push({ path: query.path, ms: Number(query.ms) });
  if (verb === "cut") for (const { response } of fake.streams) response.destroy();
  if (verb === "down") {
    fake.downUntil = Date.now() + Number(query.ms);
    for (const { response } of fake.streams) response.destroy();
  }
  if (verb === "step") fake.tell(fake.world.step());
  if (verb === "new") fake.tell({ runs: [fake.world.add()] });
  if (verb === "metrics") {
    fake.grown = (fake.grown ?? 0) + 100;
    fake.tell({ metrics: [{ uid: query.uid, node: "sft(1)", names: ["loss"] }] });
  }
  if (verb === "requests") return reply(response, 200, fake.requests);
  reply(response, 200, {});
}

async function serveFile(path, response) {
  const file = normalize(join(web, extname(path) ? path : "index.html"));
  if (!file.startsWith(normalize(web))) return reply(response, 404, "no");
  try {
    const body = await readFile(file);
    reply(response, 200, body, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
  } catch {
    reply(response, 404, "no such file", { "Content-Type": "text/plain" });
  }
}

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const text = Buffer.concat(pieces).toString();
  return text ? JSON.parse(text) : {};
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  try {
    if (url.pathname.startsWith("/fake/")) return await controls(url, response);
    const own = /^\/(api|artifacts?-)/.test(url.pathname);
    if (!own) return await serveFile(url.pathname, response);
    for (const delay of fake.delays) if (url.pathname.includes(delay.path)) await new Promise((done) => setTimeout(done, delay.ms));
    const fault = fake.faults.find(({ path, count }) => count > 0 && url.pathname.includes(path));
    if (fault) {
      fault.count -= 1;
      return reply(response, fault.status, { code: 13, message: "the database is busy", details: [] });
    }
    if (url.pathname === "/api/martlet/v1/stream") return openStream(request, response, url);
    const query = Object.fromEntries(url.searchParams);
    query.all = (name) => url.searchParams.getAll(name);
    const sent = request.method === "GET" ? null : await body(request);
    if (sent) fake.requests.push({ method: request.method, path: url.pathname, body: sent });
    if (!fake.signedIn && !url.pathname.endsWith("/session")) throw fail(401, "sign in");
    for (const [method, pattern, answer] of routes) {
      const found = method === request.method && pattern.exec(url.pathname);
      if (!found) continue;
      const value = await answer({ params: found.slice(1).map(decodeURIComponent), query, body: sent, url });
      if (value?.raw != null) return reply(response, 200, value.raw, { "Content-Type": value.type ?? "text/plain; charset=utf-8" });
      return reply(response, value?.status ?? 200, value?.status ? value.body : value);
    }
    reply(response, 404, { code: 5, message: `no route ${request.method} ${url.pathname}`, details: [] });
  } catch (error) {
    if (error instanceof Answer) return reply(response, error.status, error.body);
    console.error(error);
    reply(response, 500, { code: 13, message: String(error), details: [] });
  }
});
server.listen(Number(options.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
if (options.live) setInterval(() => fake.tell(fake.world.step()), 1000);
