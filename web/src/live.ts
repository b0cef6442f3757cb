// Live calls. Browsers allow six connections to a server on HTTP/1.1, so one
// tab holds the stream (Web Locks) and feeds the others (BroadcastChannel).
// Nothing is polled and nothing is stored.

import { batch, signal } from "@preact/signals";
import { get, Refused } from "./api";
import type { PhoneView } from "./softphone";
import type { Call } from "./types";

export type Link = "connecting" | "live" | "reconnecting";

export const calls = signal<ReadonlyMap<string, Call>>(new Map());
export const link = signal<Link>("connecting");
export const phone = signal<PhoneView | null>(null); // null: nobody has a softphone here
export const asked = signal(0); // grows when somebody may have asked us to approve
export const waiting = signal(0); // what waits for our own agreement
export const alarms = signal({ open: 0, turn: 0 }); // open alerts that we may see; turn grows with every change
export const now = signal(Date.now());
setInterval(() => { now.value = Date.now(); }, 1000);

type Message =
  | { t: "call"; call: Call } | { t: "gone"; id: string } | { t: "link"; link: Link } | { t: "asked" } | { t: "out" } | { t: "alarms"; alarms: { open: number; turn: number } } | { t: "phone"; phone: PhoneView | null }
  | { t: "hello" } | { t: "all"; calls: Call[]; link: Link; phone: PhoneView | null; alarms: { open: number; turn: number } };

const channel = new BroadcastChannel("ringfence-live");
let leading = false;

function take(m: Message) {
  switch (m.t) {
    case "call": {
      const old = calls.value.get(m.call.traversal);
      if (old && old.version > m.call.version) return;
      calls.value = new Map(calls.value).set(m.call.traversal, m.call);
      return;
    }
    case "gone": {
      const next = new Map(calls.value);
      next.delete(m.id);
      calls.value = next;
      return;
    }
    case "link": link.value = m.link; return;
    case "asked": asked.value++; return;
    case "alarms": alarms.value = m.alarms; return;
    case "phone": phone.value = m.phone; return;
    case "out": location.assign("/login"); return;
    case "all":
      batch(() => {
        calls.value = new Map(m.calls.map((c) => [c.traversal, c]));
        link.value = m.link;
        phone.value = m.phone;
        alarms.value = m.alarms;
      });
      return;
    case "hello":
      if (leading) channel.postMessage({ t: "all", calls: [...calls.value.values()], link: link.value, phone: phone.value, alarms: alarms.value } satisfies Message);
  }
}

channel.onmessage = (e) => take(e.data as Message);

// say tells the other tabs and ourselves.
function say(m: Message) {
  channel.postMessage(m);
  take(m);
}

function open() {
  const source = new EventSource("/v1/events");
  let fresh = new Set<string>(); // calls named since the stream began
  source.onopen = () => { fresh = new Set(); };
  source.addEventListener("call", (e) => {
    const call = JSON.parse((e as MessageEvent).data) as Call;
    fresh.add(call.traversal);
    say({ t: "call", call });
  });
  source.addEventListener("gone", (e) => say({ t: "gone", id: JSON.parse((e as MessageEvent).data).traversal }));
  source.addEventListener("ready", () => {
    for (const id of calls.value.keys()) if (!fresh.has(id)) say({ t: "gone", id });
    say({ t: "link", link: "live" });
    say({ t: "asked" });
  });
  source.addEventListener("phone", (e) => say({ t: "phone", phone: JSON.parse((e as MessageEvent).data) }));
  source.addEventListener("alerts", (e) => say({ t: "alarms", alarms: JSON.parse((e as MessageEvent).data) }));
  source.addEventListener("approvals", () => say({ t: "asked" }));
  source.addEventListener("signed_out", () => { source.close(); say({ t: "out" }); });
  source.onerror = async () => {
    say({ t: "link", link: "reconnecting" });
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    try {
      await get("/v1/me");
    } catch (e) {
      if (e instanceof Refused && e.kind === "unauthenticated") return say({ t: "out" });
    }
    setTimeout(open, 2000);
  };
}

export function start() {
  channel.postMessage({ t: "hello" } satisfies Message);
  void navigator.locks.request("ringfence-live", () => {
    leading = true;
    open();
    return new Promise<void>(() => {}); // until this tab closes; then another one leads
  });
}
