// The stream's machine: what is live is live, what is lost says so, and nothing is asked for twice or missed.

import assert from "node:assert/strict";
import test from "node:test";
import { cut, idle, SILENCE, step } from "../../web/lib/stream.js";

/** Feeds events one after the other; events carry the epoch that is current then, but for those that name another. */
function play(events, state = idle) {
  const acts = [];
  for (const event of events) {
    const current = ["bytes", "message", "lost", "refused"].includes(event.type) ? { epoch: state.epoch } : {};
    let act;
    [state, act] = step(state, { ...current, random: 0.5, now: 0, ...event });
    acts.push(act);
  }
  return { state, acts };
}
const begun = [{ type: "focus", focus: { namespace: "a" } }, { type: "message", id: 10 }];

test("A focus connects; the first message makes it live; its id is where to go on from", () => {
  const { state, acts } = play(begun);
  assert.deepEqual(acts, ["connect", null]);
  assert.equal(state.phase, "live");
  assert.equal(state.since, 10);
});

test("Bytes alone do not make it live", () => {
  assert.equal(play([begun[0], { type: "bytes" }]).state.phase, "connecting");
});

test("The same focus again changes nothing; another one connects anew from the older revision", () => {
  const { state } = play(begun);
  assert.deepEqual(step(state, { type: "focus", focus: { namespace: "a" }, now: 1 }), [state, null]);
  const [older, act] = step(state, { type: "focus", focus: { namespace: "a", run: "x" }, since: 7, now: 1 });
  assert.equal(act, "connect");
  assert.equal(older.since, 7);
  const [newer] = step(state, { type: "focus", focus: { namespace: "a", run: "x" }, since: 12, now: 1 });
  assert.equal(newer.since, 10);
});

test("A lost connection waits longer each time, up to a limit, and a message makes it forget", () => {
  let { state } = play(begun);
  const waits = [];
  for (let round = 0; round < 9; round++) {
    let act;
    [state, act] = step(state, { type: "lost", epoch: state.epoch, now: 1000, random: 0.5 });
    assert.equal(act, "close");
    assert.equal(state.phase, "waiting");
    waits.push(state.retryAt - 1000);
    assert.deepEqual(step(state, { type: "tick", now: state.retryAt - 1 }), [state, null]);
    [state, act] = step(state, { type: "tick", now: state.retryAt });
    assert.equal(act, "connect");
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000]);
  assert.equal(state.since, 10, "it goes on where it was");
  assert.equal(play([{ type: "message", id: 11 }], state).state.tries, 0);
});

test("Silence is a lost connection; heartbeats are not silence", () => {
  const { state } = play([...begun, { type: "bytes", now: 20_000 }]);
  assert.equal(step(state, { type: "tick", now: 20_000 + SILENCE })[0].phase, "live");
  const [lost, act] = step(state, { type: "tick", now: 20_001 + SILENCE, random: 0 });
  assert.equal(lost.phase, "waiting");
  assert.equal(act, "close");
});

test("What an older connection still says changes nothing", () => {
  const { state } = play(begun);
  const [next] = step(state, { type: "focus", focus: { run: "x" }, now: 1 });
  for (const type of ["bytes", "message", "lost", "refused"]) {
    assert.deepEqual(step(next, { type, epoch: state.epoch, id: 99, now: 2 }), [next, null], type);
  }
});

test("Waking connects at once when it waits, and never twice", () => {
  const { state } = play([...begun, { type: "lost" }]);
  const [awake, act] = step(state, { type: "wake", now: 5 });
  assert.equal(act, "connect");
  assert.deepEqual(step(awake, { type: "wake", now: 5 }), [awake, null]);
});

test("A refusal stays until the focus changes or is asked for anew", () => {
  const { state } = play([begun[0], { type: "refused" }]);
  assert.equal(state.phase, "refused");
  assert.equal(step(state, { type: "tick", now: 1e9 })[1], null);
  assert.equal(step(state, { type: "lost", epoch: state.epoch, now: 1 })[1], null);
  assert.equal(step(state, { type: "focus", focus: { namespace: "a" }, now: 2 })[1], "connect");
});

test("A stream cut at any byte gives the same messages", () => {
  const text = "id: 5\nevent: runs\ndata: {\"a\":\ndata: 1}\n\n: heartbeat\n\nid: 6\r\nevent: deleted\r\ndata: {}\r\n\r\ndata: x\n\n";
  const whole = cut(text);
  assert.equal(whole.rest, "");
  assert.deepEqual(whole.messages, [{ name: "runs", id: "5", data: "{\"a\":\n1}" }, { name: "deleted", id: "6", data: "{}" }, { name: "message", data: "x" }]);
  for (let at = 0; at <= text.length; at++) {
    const first = cut(text.slice(0, at));
    const second = cut(first.rest + text.slice(at));
    assert.deepEqual([...first.messages, ...second.messages], whole.messages, `cut at ${at}`);
  }
});
