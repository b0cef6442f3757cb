// How things are said. Pure functions, no markup.

import type { Tri } from "./types";

const ATTEST: Record<string, string> = {
  A: "The carrier says this customer may use the number.",
  B: "The carrier knows the customer, not their right to the number.",
  C: "The carrier only passed the call on.",
  "": "No carrier vouches for the number.",
};
export const attestSays = (letter: string) => ATTEST[letter] ?? ATTEST[""];

const FACT: Record<string, string> = {
  identified: "Who they say they are", attested: "Call signature", known_number: "Number on file", pin: "Telephone PIN",
  otp: "Code by SMS", totp: "Authenticator app", passkey: "Passkey", callback: "Call-back", confirmed: "Read back and confirmed",
  proofed: "Identity proofing", approved: "A colleague agreed",
};
export const factName = (fact: string) => FACT[fact] ?? fact.replaceAll("_", " ");

const SOURCE: Record<string, string> = {
  K: "something they know", P: "something they have", "P+": "cannot be phished", "P-": "by the telephone network", CB: "by the telephone network, to the number on file", ID: "outside the telephone", stirshaken: "call signature",
};
export const sourceSays = (source?: string) => (source ? SOURCE[source] ?? source : "");

export const triWord = (good: Tri) => (good === "yes" ? "Good" : good === "no" ? "Failed" : "Open");

const STATE: Record<string, string> = {
  in_flow: "In the welcome flow", queued: "Waiting", ringing: "Ringing you", talking: "Live call", step_up: "Proving", suspended: "Waiting for the call-back", ended: "Ended",
};
export const stateName = (state: string) => STATE[state] ?? state;

const OUTCOME: Record<string, string> = {
  ok: "Proved.", wrong: "What was entered was wrong.", silent: "Nothing was entered in time.", missing: "This person has none. Choose another way.",
  refused: "The person said: I did not ask for this.", denied: "Not allowed.", busy: "The number is busy.", diverted: "The number is diverted, so it does not count.",
  down: "It could not be sent or rung.", later: "Accepted, not done yet.", cancelled: "Stopped.",
};
export const outcomeSays = (word: string) => OUTCOME[word] ?? word;

const DONE: Record<string, string> = {
  denied: "Denied", permitted: "Released: waiting for the system that does it", redeemed: "Being done", executed: "Done", exec_failed: "Failed in the system that does it",
  exec_unknown: "Nobody knows yet whether it was done", reconciled: "Reconciled", invalidated: "Void: it was changed", cancelled: "Cancelled", expired: "Expired",
  held: "On hold", cooling: "Waiting time is running", ready: "Released", pending_approval: "Waiting for a colleague",
};
export const stateSays = (state: string) => DONE[state];
export const over = (state: string) => ["denied", "executed", "exec_failed", "exec_unknown", "reconciled", "invalidated", "cancelled", "expired"].includes(state);
export const asking = (state: string) => ["requested", "evaluated", "pending_evidence"].includes(state);

// bare takes out what a stranger's text could do to a screen.
export const bare = (text: string) => text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, "");

// duration of so many milliseconds, in the two greatest units.
export function lasts(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  const d = Math.floor(s / 86400);
  return d < 60 ? `${d} days` : d < 730 ? `${Math.floor(d / 30)} months` : `${Math.floor(d / 365)} years`;
}

export const age = (at: string | undefined, now: number) => {
  if (!at) return "";
  const t = Date.parse(at);
  return now - t < 5000 ? "just now" : `${lasts(now - t)} ago`;
};

export const clock = (at: string) => new Date(at).toLocaleTimeString("en-GB");

// grouped writes an account number in groups of four.
export const grouped = (text: string) => text.replace(/\s+/g, "").replace(/(.{4})(?=.)/g, "$1 ");

const digitsOf = (currency: string) => new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;

// shown writes the canonical text of a field for a person.
export function shown(text: string, type: string): string {
  if (type === "money") {
    const [minor, currency] = text.split(" ");
    if (!/^-?\d+$/.test(minor ?? "") || !/^[A-Z]{3}$/.test(currency ?? "")) return text;
    const places = digitsOf(currency!);
    const padded = minor!.padStart(places + 1, "0");
    const whole = places ? padded.slice(0, -places) : padded;
    return `${whole.replace(/(\d)(?=(\d{3})+$)/g, "$1,")}${places ? "." + padded.slice(-places) : ""} ${currency}`;
  }
  return type.startsWith("digits") || type === "account" ? grouped(text) : text;
}

// canonical turns what was typed into the text the server knows, or null when
// it cannot be one. No rounding: a third decimal of pounds is an error.
export function canonical(typed: string, type: string, currency: string): string | null {
  const text = typed.trim();
  if (!text) return null;
  if (type === "money") {
    const m = /^([A-Z]{3})?\s*([\d,' ]+)(?:\.(\d+))?\s*([A-Z]{3})?$/.exec(text.toUpperCase());
    if (!m) return null;
    const unit = m[1] ?? m[4] ?? currency;
    let places: number;
    try { places = digitsOf(unit); } catch { return null; }
    const cents = m[3] ?? "";
    if (cents.length > places) return null;
    const minor = (m[2]!.replace(/[,' ]/g, "") + cents.padEnd(places, "0")).replace(/^0+(?=\d)/, "");
    return `${minor} ${unit}`;
  }
  if (type.startsWith("digits") || type === "account") return text.replace(/[\s-]/g, "").toUpperCase();
  return text.replace(/\s+/g, " ");
}

export const fieldName = (name: string) => {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
};

// wordy writes a name of the configuration, or a line of the timeline, as words.
export const wordy = (name: string) => name.replaceAll("_", " ");
export const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const REASON: Record<string, string> = {
  stale: "Something was proved too long ago.", raised: "A signal asks for more than usual.", contact_too_new: "A number or address was changed lately.",
  authenticator_too_new: "A PIN, app or passkey was set up lately.", velocity: "This is asked for unusually often.", cap: "This goes over a limit.", held: "It is on hold.", mandate: "The mandate does not cover it.",
};
export const reasonSays = (r: string) => REASON[r] ?? fieldName(r);
