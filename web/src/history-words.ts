// How past calls are said. Pure functions, no markup.

export const when = (at: string) => new Date(at).toISOString().slice(11, 19);
export const day = (at: string) => new Date(at).toISOString().slice(0, 10);

// minutes writes a length as a player does.
export const minutes = (ms: number) => {
  const s = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
};

type How = "ok" | "warn" | "bad" | "plain";
const RELEASE: Record<string, [string, How]> = {
  executed: ["Done", "ok"], permitted: ["Released", "ok"], redeemed: ["Being done", "ok"], ready: ["Released", "ok"], held: ["Held", "warn"], cooling: ["Waiting time", "warn"],
  pending_approval: ["Waits for a colleague", "warn"], pending_evidence: ["Waits for proof", "warn"], requested: ["Asked for", "warn"], evaluated: ["Asked for", "warn"],
  denied: ["Stopped", "bad"], invalidated: ["Void", "bad"], cancelled: ["Cancelled", "plain"], expired: ["Expired", "plain"], exec_failed: ["Failed", "bad"], exec_unknown: ["Outcome not known", "warn"], reconciled: ["Reconciled", "ok"],
};
export const releaseWord = (state: string): [string, How] => RELEASE[state] ?? [state.replaceAll("_", " "), "plain"];

const CAUSE: Record<string, string> = {
  bye: "the far end hung up", cancel: "the caller gave up", hangup: "we hung up", busy: "busy", declined: "declined", no_answer: "no answer", diverted: "diverted", failed: "could not be placed",
  media: "no audio came", limit: "greatest length", shutdown: "this server stopped",
};
export const causeSays = (cause: string) => CAUSE[cause] ?? cause.replaceAll("_", " ");

const SOURCE: Record<string, string> = { mobile: "mobile on file", landline: "landline on file", email: "e-mail on file", passkey: "passkey", totp: "authenticator app", pin: "PIN" };
export const sourceSays = (kind: string) => SOURCE[kind] ?? kind.replaceAll("_", " ");
