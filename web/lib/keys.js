// Keys: which do what, where. Views bind theirs while they are shown; the help lists what is bound.
// A sequence is written with a space ("g r"). Keys typed into fields stay there, but for Escape.

const bound = []; // newest last: {"key": [words, action]}
let before = { key: "", at: 0 };

/** Binds {"j": ["next row", action], ...}; returns a function that unbinds. An action that returns false passes on. */
export function bind(keys) {
  bound.push(keys);
  return () => bound.splice(bound.indexOf(keys), 1);
}

/** All that is bound now: [[key, words], ...], what the view binds first. */
export const all = () => [...bound].reverse().flatMap((keys) => Object.entries(keys).map(([key, [words]]) => [key, words]));

export function startKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const target = event.target;
    const typing = target.matches?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select");
    if (typing && event.key !== "Escape") return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    // Enter and space on a control are the control's own.
    if ((event.key === "Enter" || event.key === " ") && target.closest?.("a, button, summary, input")) return;
    const pair = event.timeStamp - before.at < 1000 ? `${before.key} ${event.key}` : "";
    before = { key: event.key, at: event.timeStamp };
    for (const name of [pair, event.key]) {
      for (const keys of [...bound].reverse()) {
        if (!name || !Object.hasOwn(keys, name)) continue;
        if (keys[name][1](event) === false) continue;
        if (name === pair) before = { key: "", at: 0 };
        event.preventDefault();
        return;
      }
    }
  });
}
