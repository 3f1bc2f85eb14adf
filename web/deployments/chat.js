// A box to talk to a deployment: <m-chat>, state = {name, ready, done}. The answer streams; the request is shown as curl.

import { api, ApiError, at } from "../lib/api.js";
import { number, quote } from "../lib/format.js";
import { app } from "../lib/state.js";
import { View, h } from "../lib/view.js";
import { events, piece } from "./sse.js";

const TOKENS = 512; // of an answer at most

class Chat extends View {
  messages = []; // {role, content}
  draft = "";
  speed = null;

  path() { return `${at`/deployments/${this.state.name}`}/v1/chat/completions`; }
  body() { return { model: this.state.name, messages: this.messages, stream: true, max_tokens: TOKENS }; }

  async send(event) {
    event.preventDefault();
    if (!this.draft.trim() || this.running) return;
    this.messages.push({ role: "user", content: this.draft });
    const body = JSON.stringify(this.body());
    this.curl = `curl -N ${quote(location.origin + this.path())} -H 'Content-Type: application/json' -d ${quote(body)}`;
    const answer = { role: "assistant", content: "" };
    this.messages.push(answer);
    Object.assign(this, { draft: "", error: null, running: new AbortController() });
    this.update();
    const start = performance.now();
    let tokens = 0;
    try {
      for await (const data of this.stream(body)) {
        tokens += 1;
        answer.content += piece(data);
        this.speed = (1000 * tokens) / (performance.now() - start);
        this.update();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.error = error.message;
    }
    if (!answer.content) this.messages.pop();
    this.running = null;
    this.update();
    this.state.done?.();
  }

  async *stream(body) {
    const headers = { "Content-Type": "application/json", ...(app.session?.csrf && { "X-Martlet-CSRF": app.session.csrf }) };
    const response = await fetch(this.path(), { method: "POST", headers, body, signal: this.running.signal, credentials: "same-origin" });
    if (!response.ok) {
      const told = await response.json().catch(() => ({}));
      throw new ApiError(response.status, told.message ?? told.error?.message ?? `The deployment answered ${response.status}.`);
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const found = events(rest + value);
      rest = found.rest;
      for (const data of found.data) {
        if (data.error) throw new ApiError(500, data.error.message ?? "The answer was broken off.");
        yield data;
      }
    }
  }

  begin() { this.ends(() => this.running?.abort()); }

  draw() {
    const { ready } = this.state;
    return [
      h("ol", { class: "talk", "aria-live": "polite" }, this.messages.map((m, i) => h("li", { key: i, class: m.role }, h("b", null, m.role === "user" ? "You" : this.state.name), h("p", null, m.content || "…")))),
      this.error && h("p", { class: "problem", role: "alert" }, this.error),
      h("form", { onsubmit: (event) => this.send(event) },
        h("textarea", { rows: 2, "aria-label": "Message", placeholder: ready ? "Say something" : "It is not ready yet", value: this.draft,
          oninput: (event) => { this.draft = event.target.value; },
          onkeydown: (event) => event.key === "Enter" && !event.shiftKey && this.send(event) }),
        this.running ? h("button", { type: "button", onclick: () => this.running.abort() }, "Stop") : h("button", { class: "primary", disabled: !ready }, "Send"),
        this.speed && h("small", null, `${number(this.speed)} tokens/s`)),
      this.curl && h("details", null, h("summary", null, "The request as a command"), h("m-command", { state: this.curl })),
    ];
  }
}
customElements.define("m-chat", Chat);
