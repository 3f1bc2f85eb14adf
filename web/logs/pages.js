// The part of a log that is held: pages of lines by number, the oldest forgotten first, few requests at a time.

export const PAGE = 500; // lines
const KEPT = 80; // pages
const AT_ONCE = 3; // requests

export class Pages {
  #pages = new Map(); // page -> lines
  #going = new Map(); // page -> AbortController
  #wanted = [];
  total = 0;

  /** `fetch(from, count, signal)` -> {lines, total}; `changed()` when lines or the total came; `failed(error)`. */
  constructor(fetch, changed, failed) {
    Object.assign(this, { fetch, changed, failed });
  }

  /** Line `n`, or undefined while it is not here. */
  line(n) {
    return this.#pages.get(Math.floor(n / PAGE))?.[n % PAGE];
  }

  /** Says which lines are on the screen: they are fetched, and requests for others are given up. */
  want(numbers) {
    const pages = [...new Set(numbers.map((n) => Math.floor(n / PAGE)))].filter((page) => page * PAGE < this.total);
    for (const page of pages) {
      const lines = this.#pages.get(page);
      if (lines) this.#pages.delete(page), this.#pages.set(page, lines);
    }
    this.#wanted = pages.filter((page) => (this.#pages.get(page)?.length ?? 0) < Math.min(PAGE, this.total - page * PAGE));
    for (const [page, controller] of this.#going) if (!pages.includes(page)) controller.abort();
    this.#next();
  }

  async #next() {
    const page = this.#wanted.find((one) => !this.#going.has(one));
    if (page == null || this.#going.size >= AT_ONCE) return;
    const controller = new AbortController();
    this.#going.set(page, controller);
    const answer = this.fetch(page * PAGE, PAGE, controller.signal);
    this.#next();
    try {
      const { lines, total } = await answer;
      this.#pages.set(page, lines);
      this.total = Math.max(this.total, total ?? 0);
      while (this.#pages.size > KEPT) this.#pages.delete(this.#pages.keys().next().value);
      // A log that shrank between two answers would otherwise be asked for without end.
      this.#wanted = this.#wanted.filter((one) => one !== page);
      this.changed();
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
      this.#wanted = this.#wanted.filter((one) => one !== page || error.name === "AbortError");
    }
    this.#going.delete(page);
    this.#next();
  }

  stop() {
    this.#wanted = [];
    for (const controller of this.#going.values()) controller.abort();
  }
}
