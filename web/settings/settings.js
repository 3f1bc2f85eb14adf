// Settings: who may do what (tokens), secrets by name, and the list of changes.

import { api, at, may } from "../lib/api.js";
import { plural } from "../lib/format.js";
import { ask, copy, moment, tabs, toast } from "../lib/parts.js";
import { here } from "../lib/router.js";
import { app, change, namespace } from "../lib/state.js";
import { sheet } from "../lib/sheet.js";
import { View, empty, h, skeleton } from "../lib/view.js";
import { action, command, list } from "../pipelines/parts.js";

await sheet("/settings/settings.css");

const PAGE = 50; // lines of the audit list that are fetched at a time
const DAY = 86_400;
const TTL = { "a day": DAY, "a week": 7 * DAY, "30 days": 30 * DAY, "90 days": 90 * DAY, "a year": 365 * DAY };
const roleWords = (roles) => Object.entries(roles).map(([ns, role]) => (ns === "*" ? role : `${role} in ${ns}`)).join(", ") || "none";

class Settings extends View {
  older = [];

  begin() { this.fetch(); this.listen("reset", () => this.fetch()); }
  changed(old) { if (this.section(old) !== this.section() || old.namespace !== this.state.namespace) this.fetch(); }
  section(state = this.state) { return state.route.query.get("part") ?? "tokens"; }

  fetch() {
    this.older = [];
    if (!may("admin")) return;
    const part = this.section();
    this.load(part, (signal) => api.get({ tokens: "/tokens", secrets: "/secrets", audit: "/audit" }[part] ?? "/tokens",
      part === "secrets" ? { namespace: this.state.namespace } : part === "audit" ? { limit: PAGE } : {}, signal));
  }

  draw() {
    const part = this.section(), { session } = app;
    return h("div", { class: "page" },
      h("header", null, h("h1", { class: "grow" }, "Settings"),
        session?.signedIn && session.authRequired && [h("span", { class: "dim" },
          `${session.name}: ${roleWords(session.roles ?? {})}`), h("button", { onclick: () => this.leave() }, "Sign out")]),
      tabs([["tokens", "Tokens"], ["secrets", "Secrets"], ["audit", "Audit"]], part,
        (id) => here({ part: id === "tokens" ? null : id }), "Settings"),
      !may("admin") ? empty("Settings are for admins",
        "Your role lets you use the other views. Who has the role admin can give you more.", "martlet token create NAME --role admin")
        : part === "audit" ? this.audit() : part === "secrets" ? this.secrets() : this.tokens());
  }

  async leave() {
    try {
      await api.delete("/session");
      change({ session: { ...app.session, name: null, roles: null, csrf: null, signedIn: false } });
    } catch (error) {
      toast(error.message, true);
    }
  }

  tokens() {
    return [
      h("div", { class: "lead" }, h("p", null, "A token lets a person or a program in. Only its hash is kept."),
        h("button", { class: "primary", onclick: () => this.create() }, "New token")),
      this.show("tokens", ({ items }) => items.length ? list(["Name", "May", "Last used", "Expires", "Created", ""], items.map((t) => ({
        key: t.id, class: t.revokedAt ? "gone" : "",
        cells: [t.name, roleWords(t.roles), t.lastUsedAt ? moment(t.lastUsedAt) : "never",
          t.revokedAt ? ["revoked ", moment(t.revokedAt)] : t.expiresAt ? moment(t.expiresAt) : "never", moment(t.createdAt),
          !t.revokedAt && action("Revoke", () => this.revoke(t), { role: "admin", kind: "danger", label: `Revoke ${t.name}` })],
      })))
        : empty("No tokens", "Without tokens the server answers this machine alone. The first token opens it to others.",
          "martlet token create NAME --role editor")),
    ];
  }

  async create() {
    let made = null;
    const body = (v) => ({ name: v.name.trim(), roles: { [v.where.trim() || "*"]: v.role },
      ...(TTL[v.ttl] && { ttlSeconds: TTL[v.ttl] }) });
    await ask({
      title: "New token", action: "Create",
      fields: [
        { name: "name", label: "For", required: true, description: "A person or a program, to tell it from others." },
        { name: "role", label: "Role", value: "editor", options: ["viewer", "editor", "admin"],
          description: "A viewer looks, an editor runs and changes, an admin also has tokens and secrets." },
        { name: "where", label: "Namespace", value: namespace(), description: "Empty means all." },
        { name: "ttl", label: "Good for", value: "90 days", options: [...Object.keys(TTL), "ever"] },
      ],
      command: (v) => command(["token", "create", v.name || "NAME", "--role", v.role,
        ...(TTL[v.ttl] ? ["--ttl", `${TTL[v.ttl] / DAY}d`] : [])], v.where.trim()),
      act: async (v) => { made = await api.post("/tokens", body(v)); },
    });
    if (!made) return;
    // It lives in this dialog alone and is gone with it.
    const { token } = made;
    await ask({ title: `Token of ${made.name}`, words: "Copy it now: it is not shown again.",
      fields: [{ name: "token", label: "Token", value: token }], action: "Copy", act: () => copy(token, "Token") });
    this.fetch();
  }

  async revoke(t) {
    const done = await ask({
      title: `Revoke ${t.name}?`, action: "Revoke", danger: true,
      lost: "Who uses this token is shut out at once, signed-in pages included. It cannot be brought back.",
      command: () => command(["token", "revoke", t.id]), act: () => api.delete(at`/tokens/${t.id}`),
    });
    if (done) { toast(`${t.name} is revoked.`); this.fetch(); }
  }

  secrets() {
    return [
      h("div", { class: "lead" }, h("p", null, "Steps get secrets as files or environment. Values go in and are never shown."),
        h("button", { class: "primary", onclick: () => this.put() }, "New secret")),
      this.show("secrets", ({ items }) => items.length ? list(["Name", "Keys", "Changed", ""], items.map((s) => ({
        key: `${s.namespace}/${s.name}`,
        cells: [[s.name, !this.state.namespace && h("small", { class: "tag" }, s.namespace)],
          s.keys.map((k) => h("code", { class: "key" }, k)), moment(s.updatedAt),
          h("div", { class: "row" }, action("Set…", () => this.put(s), { role: "admin", label: `Set ${s.name}` }),
            action("Delete", () => this.discard(s), { role: "admin", kind: "danger", label: `Delete ${s.name}` }))],
      })))
        : empty("No secrets",
          "A secret has a name and keys with values, encrypted at rest. A manifest takes one by valueFrom.secretKeyRef.",
          "martlet secret set hub-token token=-")),
    ];
  }

  /** Two questions for a new one: which keys, then their values. Values are in the second dialog alone. */
  async put(old) {
    let target = old;
    const split = (v) => ({ name: v.name.trim(), namespace: v.where.trim(), keys: [...new Set(v.keys.split(/[\s,]+/).filter(Boolean))] });
    target ??= await ask({
      title: "New secret", action: "Next",
      fields: [
        { name: "name", label: "Name", required: true, description: "Lower case letters, digits and dashes." },
        { name: "where", label: "Namespace", value: namespace() || "default", required: true },
        { name: "keys", label: "Keys", required: true, description: "One, or several with commas between." },
      ],
    }).then((v) => v && split(v));
    if (!target) return;
    const { keys, name, namespace: where } = target, stored = old ?? this.slots.secrets?.value?.items.find((s) => s.name === name
      && s.namespace === where);
    const done = await ask({
      title: `Values of ${name}`, action: "Store", lost: stored && `The values that ${name} has now are lost.`,
      fields: keys.map((key) => ({ name: key, type: "password", required: true })),
      // Values stay out of the command: shells keep what is typed.
      command: () => command(["secret", "set", name, "--replace", ...keys.map((key) => `${key}=@${key}.txt`)], where),
      act: (v) => api.put(at`/secrets/${where}/${name}`, { values: v }),
    });
    if (done) { toast(`${name} is stored.`); this.fetch(); }
  }

  async discard(s) {
    const done = await ask({
      title: `Delete ${s.name}?`, action: "Delete", danger: true,
      lost: `Its ${plural(s.keys.length, "value")} cannot be brought back. Steps that ask for it fail from now on.`,
      command: () => command(["secret", "delete", s.name], s.namespace), act: () => api.delete(at`/secrets/${s.namespace}/${s.name}`),
    });
    if (done) { toast(`${s.name} is deleted.`); this.fetch(); }
  }

  audit() {
    return this.show("audit", (first) => {
      const pages = [first, ...this.older], items = pages.flatMap((p) => p.items), next = pages.at(-1).next;
      if (!items.length) return empty("No changes yet", "Every change stands here: who, what, from where.", null);
      return [
        list(["When", "Who", "What", "On", "From", "Answer"], items.map((a) => ({
          key: a.id, class: a.status >= 400 ? "refused" : "",
          cells: [moment(a.at), a.who || h("span", { class: "dim" }, "nobody"), a.what,
            [a.namespace, a.target].filter(Boolean).join("/"), a.from, a.status >= 400 ? `refused (${a.status})` : "done"],
        }))),
        next && h("button", { disabled: this.slots.more?.loading, onclick: () => this.load("more",
          (signal) => api.get("/audit", { after: next, limit: PAGE }, signal),
          { done: (page) => { this.older = [...this.older, page]; } }) }, "Show older"),
        this.slots.more?.error && h("p", { class: "problem" }, this.slots.more.error.message),
      ];
    }, skeleton(10));
  }
}
customElements.define("m-settings", Settings);
