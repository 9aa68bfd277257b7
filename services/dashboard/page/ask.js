// Questions to the page's own server; every failure has a sentence for people.

export class Trouble extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind; // "gone": our server; "away": Prometheus; "refused": this query; "asked": what was chosen
  }
}

export async function ask(path, asked, signal) {
  let answer;
  try {
    answer = await fetch(`/api/boards${path}?${asked}`, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("gone", "The server of this page has ended");
  }
  if (answer.ok) return answer.json();
  const text = await answer.text();
  if (!answer.headers.get("content-type")?.includes("json")) throw new Trouble("asked", text);
  const { kind, error } = JSON.parse(text);
  throw new Trouble(kind, error);
}
