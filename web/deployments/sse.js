// Events of an answer that streams, as OpenAI's API writes them. Pure.

/** The JSON of the whole events in a text, and what is left of it: {data, rest}. Comments and the end mark are left out. */
export function events(text) {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n"), rest = blocks.pop();
  const lines = blocks.flatMap((block) => block.split("\n")).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
  return { rest, data: lines.filter((line) => line && line !== "[DONE]").map((line) => JSON.parse(line)) };
}

/** The text that an event adds. */
export const piece = (data) => {
  const delta = data.choices?.[0]?.delta ?? {};
  return (delta.reasoning_content ?? "") + (delta.content ?? "");
};
