// The server's JSON API, as the pages use it.

export interface Problem { type: string; title: string; status: number; detail?: string; next?: string; errors?: { location: string; message: string }[] }

// faults names what was wrong in a request, as people read it.
const faults = (p: Problem) => p.errors?.map((e) => `${(e.location.split(".").at(-1) ?? "").replaceAll("_", " ")}: ${e.message}`).map((t) => `${t.charAt(0).toUpperCase()}${t.slice(1).replace(/\.$/, "")}.`).join(" ");

export class Refused extends Error {
  constructor(readonly problem: Problem) { super(problem.detail || faults(problem) || problem.title); }
  get kind() { return this.problem.type.replace("urn:ringfence:problem:", ""); }
}

async function ask<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = key ?? crypto.randomUUID();
  let answer: Response;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
  } catch {
    throw new Refused({ type: "urn:ringfence:problem:unavailable", title: "The server cannot be reached", status: 0 });
  }
  if (answer.status === 204) return undefined as T;
  const got = await answer.json().catch(() => ({ type: "urn:ringfence:problem:internal", title: "The answer cannot be read", status: answer.status }));
  if (!answer.ok) throw new Refused(got);
  return got as T;
}

export const get = <T>(path: string) => ask<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}, key?: string) => ask<T>("POST", path, body, key);
