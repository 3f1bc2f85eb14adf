// Answers of the fake server other than 200.

/** A route's answer other than 200. */
export class Answer extends Error {
  constructor(status, body) {
    super(String(status));
    Object.assign(this, { status, body });
  }
}
export const fail = (status, message) => new Answer(status, { code: 5, message, details: [] });
