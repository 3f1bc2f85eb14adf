// Which rows of a long list are on the screen. Pure. Browsers limit an element's height to some ten million pixels, so
// above `LIMIT` the scroll height is squeezed: a pixel of the bar then stands for more than a pixel of rows.

export const LIMIT = 8_000_000;

/** Height of the scrolled area, and how many rows a scrolled pixel stands for. */
export function extent(total, row, viewport) {
  const height = Math.min(total * row, LIMIT);
  const way = Math.max(0, height - viewport); // pixels that can be scrolled
  const last = Math.max(0, total - viewport / row); // the row (with fraction) on top at the end
  return { height, way, last, squeezed: total * row > LIMIT };
}

/** The row on top, with fraction, at a scroll position. */
export function topAt(scroll, total, row, viewport) {
  const { way, last } = extent(total, row, viewport);
  return way > 0 ? Math.min(1, Math.max(0, scroll / way)) * last : 0;
}

/** The scroll position that brings a row (with fraction) to the top, as near as the end of the list allows. */
export function scrollOf(top, total, row, viewport) {
  const { way, last } = extent(total, row, viewport);
  return last > 0 ? (Math.min(Math.max(0, top), last) / last) * way : 0;
}

/** Rows to draw for a row on top: [first, end), with `over` spare rows on each side, and where the first one stands
 * below the viewport's upper edge (negative above). */
export function window(top, total, row, viewport, over = 10) {
  const first = Math.max(0, Math.floor(top) - over);
  const end = Math.min(total, Math.ceil(top + viewport / row) + over);
  return { first, end: Math.max(first, end), offset: (first - top) * row };
}

/** The least move that shows a row: the new top. */
export function reveal(index, top, total, row, viewport) {
  const seen = viewport / row;
  const wanted = index < top ? index : index + 1 > top + seen ? index + 1 - seen : top;
  return Math.min(Math.max(0, wanted), Math.max(0, total - seen));
}
