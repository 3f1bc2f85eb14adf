// The page's frame: rail, bar with namespace and search, the server's state, and the view that the address means.
// Views are fetched when they are first shown.

import { api, at } from "./lib/api.js";
import { h, View } from "./lib/view.js";
import { startKeys } from "./lib/keys.js";
import { clock, relative, local } from "./lib/format.js";
import { copy, toast } from "./lib/parts.js";
import { favicon, icon, shown } from "./lib/phase.js";
import { go, here, startRouter } from "./lib/router.js";
import { app, change, namespace, now, save, watch } from "./lib/state.js";
import { focus, reconnect, startStream } from "./lib/stream.js";

const ROUTES = [
  ["/runs", "runs/runs", "m-runs", "Runs"],
  ["/runs/:namespace/:name", "run/run", "m-run", null],
  ["/pipelines", "pipelines/pipelines", "m-pipelines", "Pipelines"],
  ["/pipelines/:namespace/:name", "pipelines/pipeline", "m-pipeline", null],
  ["/submit", "editor/submit", "m-submit", "Submit"],
  ["/schedules", "schedules/schedules", "m-schedules", "Schedules"],
  ["/schedules/:namespace/:name", "schedules/schedule", "m-schedule", null],
  ["/models", "models/models", "m-models", "Models"],
  ["/deployments", "deployments/deployments", "m-deployments", "Deployments"],
  ["/compare", "compare/compare", "m-compare", "Compare"],
  ["/settings", "settings/settings", "m-settings", "Settings"],
];

// [address, label, key, drawing in a 24 x 24 box]
const RAIL = [
  ["/runs", "Runs", "r", "M5 6.5h14M5 12h9M5 17.5h11"],
  ["/pipelines", "Pipelines", "p", "M4 9.5h5v5H4zM15 4h5v5h-5zM15 15h5v5h-5zM9 12c4 0 2-5.5 6-5.5M9 12c4 0 2 5.5 6 5.5"],
  ["/schedules", "Schedules", "s", "M12 4a8 8 0 1 1 0 16a8 8 0 0 1 0-16zM12 7.5v5l3 2"],
  ["/models", "Models", "m", "M12 3.5l7.5 4.2v8.6L12 20.5l-7.5-4.2V7.7zM4.5 7.7L12 12l7.5-4.3M12 12v8.5"],
  ["/deployments", "Deploys", "d", "M4 5h16v5.5H4zM4 13.5h16V19H4zM7.5 7.8h.1M7.5 16.2h.1"],
  ["/compare", "Compare", "c", "M4 19V9M9.3 19V5M14.7 19v-7M20 19V7"],
  ["/settings", "Settings", ",", "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4"],
];
const MARK = "M2 8q6 -2 10 7q4 -9 10 -7";

class App extends View {
  found = null; // what the search brought
  chosen = 0;

  begin() {
    this.load("session", (signal) => api.get("/session", {}, signal), { done: (session) => change({ session }) });
    this.listen("hello", () => this.overview());
    this.listen("schedules", () => this.overview());
    this.listen("runs", () => this.overview());
    this.ends(watch(() => this.settle()));
    this.settle();
  }

  keys() {
    const rail = RAIL.map(([path, label, key]) => [`g ${key}`, [`go to ${label}`, () => go(path)]]);
    return {
      "/": ["search", () => this.querySelector(".search input")?.focus()],
      ...Object.fromEntries(rail),
      "n": ["submit a new run", () => go("/submit")],
      "y": ["copy the address of this view", () => copy(location.href, "Address")],
      "?": ["all keys", () => this.help()],
    };
  }

  ticks = () => Boolean(app.lost);

  /** At most one in two seconds, when something changed: the numbers are for glances. */
  overview() {
    if (this.soon || !app.session?.signedIn && app.session?.authRequired) return;
    this.soon = setTimeout(() => {
      this.soon = null;
      const query = { namespace: namespace() };
      this.load("overview", (signal) => api.get("/overview", query, signal), { done: (overview) => change({ overview }) });
    }, app.overview ? 2000 : 0);
  }

  /** What follows from route and session: the view's module, the stream's focus, the title. */
  settle() {
    const { route, session } = app;
    if (!session || !route) return;
    const open = !session.authRequired || session.signedIn;
    const [module, tag, title] = !open ? ["signin/signin", "m-signin", "Sign in"] : (route.view ?? []);
    if (open !== this.open) {
      this.open = open;
      this.focused = null;
      if (open) this.overview();
    }
    if (tag !== this.tag) {
      this.tag = tag;
      this.broken = null;
      if (module) import(`./${module}.js`).catch((error) => {
        console.error(error);
        this.broken = true;
        this.update();
      });
      focusTitle(title ?? "Martlet");
    }
    // Views of one run focus the stream themselves, once they know it.
    const wanted = `${tag} ${namespace()}`;
    if (open && tag !== "m-run" && this.focused !== wanted) focus({ namespace: namespace() });
    this.focused = wanted;
  }

  async search(text) {
    this.text = text;
    if (!text.trim()) {
      this.found = null;
      return this.update();
    }
    this.load("search", async (signal) => {
      // Typing goes on within this pause; the newer load then ends this one.
      await new Promise((resolve) => setTimeout(resolve, 120));
      signal.throwIfAborted();
      return api.get("/search", { q: text, namespace: namespace() }, signal);
    }, { done: ({ items }) => {
      this.found = items;
      this.chosen = 0;
    } });
  }

  searchKey(event) {
    const items = this.found ?? [];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && items.length) this.chosen = (this.chosen + step + items.length) % items.length;
    else if (event.key === "Enter") {
      const item = items[this.chosen];
      if (item) go(placeOf(item));
      else if (this.text) go(`/runs?${new URLSearchParams({ q: this.text })}`);
      this.leaveSearch();
    } else if (event.key === "Escape") this.leaveSearch();
    else return;
    event.preventDefault();
    this.update();
  }

  leaveSearch() {
    [this.found, this.text] = [null, ""];
    this.querySelector(".search input")?.blur();
    this.update();
  }

  async help() {
    try {
      await import("./help/help.js");
    } catch {
      return toast("The list of keys could not be loaded.", true);
    }
    if (!document.querySelector("m-help")) document.body.append(document.createElement("m-help"));
    document.querySelector("m-help").open();
  }

  draw() {
    const { route, overview } = app;
    const section = `/${route.path.split("/")[1]}`;
    return [
      h("a", { class: "skip", href: "#main", onclick: () => this.querySelector("main").focus() }, "Skip to content"),
      h("nav", { class: "rail", "aria-label": "Main" },
        h("a", { class: "mark", href: "/runs", "aria-label": "Martlet" }, drawing(MARK)),
        RAIL.map(([path, label, key], index) =>
          h("a", { href: path, class: index === RAIL.length - 1 ? "low" : "", "aria-current": section === path ? "page" : null,
            title: `${label} (g ${key})` }, drawing(RAIL[index][3]), label))),
      h("header", { class: "bar" },
        h("div", { class: "search", role: "search" },
          h("input", { type: "search", placeholder: "Search runs, pipelines, schedules", "aria-label": "Search", role: "combobox",
            "aria-expanded": String(Boolean(this.found)), "aria-controls": "found", value: this.text ?? "", autocomplete: "off",
            oninput: (event) => this.search(event.target.value), onkeydown: (event) => this.searchKey(event),
            onblur: () => setTimeout(() => this.leaveFound(), 200) }),
          h("kbd", { "aria-hidden": "true" }, "/"),
          this.found && h("div", { class: "found", id: "found", role: "listbox" },
            this.found.length === 0 && h("p", { class: "dim" }, "Nothing has this in its name."),
            this.found.map((item, index) => h("a", { href: placeOf(item), role: "option", "aria-selected": String(index === this.chosen) },
              item.phase ? icon(shown(item), true) : h("small", null, item.kind), h("span", { class: "grow cut" }, item.name),
              h("small", null, relative(item.at, now())))))),
        this.names(overview),
        h("span", { class: app.live ? "state" : "state off", role: "status",
          title: app.live ? `Live. Martlet ${overview?.version ?? ""}, up since ${local(overview?.startedAt)}` : "Not live" },
          h("i"), h("span", null, app.live ? "Live" : "Not live"))),
      h("main", { id: "main", tabIndex: -1 }, this.banner(), this.view()),
    ];
  }

  leaveFound() {
    if (!this.found) return;
    this.found = null;
    this.update();
  }

  names(overview) {
    const all = overview?.namespaces ?? [];
    if (all.length < 2 && !namespace()) return null;
    const choose = (event) => {
      save("namespace", event.target.value);
      go(here({ namespace: event.target.value, after: null }));
      change({ route: { ...app.route } });
    };
    return h("select", { "aria-label": "Namespace", value: namespace(), onchange: choose },
      h("option", { value: "" }, "all namespaces"), [...new Set([...all, namespace()])].filter(Boolean).map((name) => h("option", { value: name }, name)));
  }

  banner() {
    const problem = app.overview?.storageProblem;
    // A hop of the stream from one view to the next is no news; two seconds of silence are.
    if (app.lost && Date.now() - app.lost > 2000 && app.session?.signedIn !== false) {
      const again = app.retryAt ? ` Next try in ${Math.max(0, Math.ceil((app.retryAt - Date.now()) / 1000))} s.` : " Connecting…";
      return h("div", { class: "banner", role: "alert", key: "banner" },
        h("span", { class: "grow" }, `Not live: this is the state of ${clock(new Date(app.lost))}.`, again),
        h("button", { class: "plain", onclick: reconnect }, "Connect now"));
    }
    return problem && h("div", { class: "banner", role: "alert", key: "banner" }, `Storage: ${problem}`);
  }

  view() {
    const session = this.slots.session;
    if (!app.session) return session?.error ? h("div", { class: "page" }, this.show("session", () => null)) : h("div", { class: "page" }, this.show("x", () => null));
    if (!this.tag) {
      return h("div", { class: "empty" }, h("h2", null, "There is no such page"), h("p", null, "The address may be mistyped, or from another version."),
        h("a", { href: "/runs", class: "button" }, "To the runs"));
    }
    if (this.broken) return h("div", { class: "problem", role: "alert" }, "This view could not be loaded. ",
      h("button", { class: "plain", onclick: () => location.reload() }, "Load the page again"));
    // A view of another thing is another view: nothing of the last one lingers.
    return h(this.tag, { key: this.tag + JSON.stringify(app.route.params), state: { route: app.route, namespace: namespace() } });
  }
}
customElements.define("m-app", App);

const drawing = (path) => h("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", { d: path }));

const placeOf = ({ kind, namespace, name }) =>
  ({ run: at`/runs/${namespace}/${name}`, pipeline: at`/pipelines/${namespace}/${name}`, schedule: at`/schedules/${namespace}/${name}` })[kind] ?? "/runs";

function focusTitle(title) {
  document.title = title === "Martlet" ? title : `${title} · Martlet`;
  favicon(null);
}

startKeys();
startRouter(ROUTES);
startStream();
document.querySelector("m-app").render({});
