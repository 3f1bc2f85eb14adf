// Signing in with a token. The token is sent once and kept nowhere here: the server answers with a cookie that scripts
// cannot read.

import { api } from "../lib/api.js";
import { sheet } from "../lib/sheet.js";
import { change } from "../lib/state.js";
import { View, h } from "../lib/view.js";

await sheet("/settings/settings.css");

class SignIn extends View {
  draw() {
    return h("form", { class: "signin", onsubmit: (event) => this.enter(event) },
      h("h1", null, "Sign in"),
      h("div", { class: "field" }, h("label", { for: "token" }, "Token"),
        h("input", { id: "token", name: "token", type: "password", required: true, autocomplete: "current-password",
          spellcheck: "false", autofocus: true, placeholder: "mrt_…", "aria-describedby": "token-about",
          "aria-invalid": this.error ? "true" : null, ref: (node) => node.focus() }),
        h("small", { id: "token-about" }, "It begins with mrt_. Who runs this server can make one:")),
      h("m-command", { state: "martlet token create NAME --role editor" }),
      this.error && h("p", { class: "problem", role: "alert" }, this.error),
      h("button", { class: "primary", disabled: Boolean(this.busy) }, this.busy ? "…" : "Sign in"));
  }

  async enter(event) {
    event.preventDefault();
    const field = this.querySelector("input"), token = field.value.trim();
    if (this.busy) return;
    [this.busy, this.error] = [true, ""];
    this.update();
    try {
      const session = await api.post("/session", { token });
      field.value = "";
      change({ session });
    } catch (error) {
      this.error = error.status === 401 || error.status === 403 ? "This token is wrong, has expired, or was revoked. Ask for a new one."
        : error.status === 429 ? "Too many tries from here. Wait a minute, then try again."
        : error.status === 0 ? "The server cannot be reached. Check that it runs, then try again." : error.message;
      field.select();
    }
    this.busy = false;
    this.update();
  }
}
customElements.define("m-signin", SignIn);
