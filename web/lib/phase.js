// Phases as colour and shape: the same shapes in lists, on the canvas of the graph and in the tab's icon.

import { h } from "./dom.js";

/** Shapes in a 16 x 16 box, as SVG paths; `fill` says whether it is filled rather than drawn. */
export const SHAPES = {
  Pending: { path: "M8 3a5 5 0 1 1 0 10a5 5 0 0 1 0-10z" },
  Running: { path: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5" },
  Succeeded: { path: "M3 8.5l3.4 3.5L13 4.5" },
  Failed: { path: "M4 4l8 8M12 4l-8 8" },
  Error: { path: "M8 2.2l6.3 11.3H1.7zM8 6.6v3M8 11.4v.3" },
  Skipped: { path: "M3.5 8h9" },
  Suspended: { path: "M5.5 3.5v9M10.5 3.5v9" },
};

/** The phase a reader sees: a run or node that waits for someone is Suspended, Omitted looks like Skipped. */
export function shown(item) {
  if (item.phase === "Omitted") return "Skipped";
  if (item.suspended && (item.phase === "Running" || item.phase === "Pending")) return "Suspended";
  if (item.type === "Suspend" && item.phase === "Running") return "Suspended";
  return SHAPES[item.phase] ? item.phase : "Pending";
}

/** The shape of a phase. With `label` it speaks for itself; without, the word must stand beside it. */
export const icon = (phase, label = false) =>
  h("svg", { class: `phase p-${phase}`, viewBox: "0 0 16 16", role: "img", "aria-hidden": label ? null : "true",
    "aria-label": label ? phase : null }, h("path", { d: SHAPES[phase].path }));

/** Shape and word. */
export const badge = (phase) => h("span", { class: `badge p-${phase}` }, icon(phase), phase);

/** Shows a phase (or none) in the tab's icon, by which a background tab tells when it is done. */
export function favicon(phase) {
  const link = document.getElementById("icon");
  const address = `/style/icons/${phase && phase !== "Skipped" ? phase : "martlet"}.svg`;
  if (link.getAttribute("href") !== address) link.href = address;
}
