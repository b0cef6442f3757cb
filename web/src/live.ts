// Live calls. Browsers allow six connections to a server on HTTP/1.1, so one
// tab holds the stream (Web Locks) and feeds the others (BroadcastChannel).
// Nothing is polled and nothing is stored.

import { batch, signal } from "@preact/signals";
import { get, post, Refused } from "./api";
import type { PhoneView } from "./softphone";
import type { Call, Floor } from "./types";

export type Link = "connecting" | "live" | "reconnecting";

export const calls = signal<ReadonlyMap<string, Call>>(new Map());
export const link = signal<Link>("connecting");
export const phone = signal<PhoneView | null>(null); // null: nobody has a softphone here
export const floor = signal<Floor | null>(null); // null: this person takes no calls
export const asked = signal(0); // grows when somebody may have asked us to approve
export const waiting = signal(0); // what waits for our own agreement
export const alarms = signal({ open: 0, turn: 0 }); // open alerts that we may see; turn grows with every change
export const now = signal(Date.now());
setInterval(() => { now.value = Date.now(); }, 1000);

type Message =
  | { t: "call"; call: Call } | { t: "gone"; id: string } | { t: "link"; link: Link } | { t: "floor"; floor: Floor } | { t: "beat" } | { t: "asked" } | { t: "out" } | { t: "alarms"; alarms: { open: number; turn: number } } | { t: "phone"; phone: PhoneView | null }
  | { t: "hello" } | { t: "all"; calls: Call[]; link: Link; floor: Floor | null; phone: PhoneView | null; alarms: { open: number; turn: number } };

const channel = new BroadcastChannel("ringfence-live");
let leading = false;
let heard = Date.now(); // when the server was heard last, directly or through another tab
let silent = 40_000; // ms without a word after which the network counts as gone

export const leads = () => leading;

function take(m: Message) {
  heard = Date.now();
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
    case "floor": floor.value = m.floor; return;
    case "asked": asked.value++; return;
    case "alarms": alarms.value = m.alarms; return;
    case "phone": phone.value = m.phone; return;
    case "out": location.assign("/login"); return;
    case "all":
      batch(() => {
        calls.value = new Map(m.calls.map((c) => [c.traversal, c]));
        link.value = m.link;
        floor.value = m.floor;
        phone.value = m.phone;
        alarms.value = m.alarms;
      });
      return;
    case "hello":
      if (leading) channel.postMessage({ t: "all", calls: [...calls.value.values()], link: link.value, floor: floor.value, phone: phone.value, alarms: alarms.value } satisfies Message);
  }
}

channel.onmessage = (e) => take(e.data as Message);

// say tells the other tabs and ourselves.
function say(m: Message) {
  channel.postMessage(m);
  take(m);
}

let source: EventSource | null = null;

function open() {
  source?.close();
  const s = source = new EventSource("/v1/events");
  let fresh = new Set<string>(); // calls named since the stream began
  let was = floor.value; // before the stream was lost
  const on = (name: string, f: (data: any) => void) => s.addEventListener(name, (e) => f(JSON.parse((e as MessageEvent).data)));
  s.onopen = () => { fresh = new Set(); was = floor.value; };
  on("call", (call: Call) => {
    fresh.add(call.traversal);
    say({ t: "call", call });
  });
  on("gone", (m) => say({ t: "gone", id: m.traversal }));
  on("ready", (m) => {
    silent = 2.5 * m.beat_ms + 2000;
    for (const id of calls.value.keys()) if (!fresh.has(id)) say({ t: "gone", id });
    say({ t: "link", link: "live" });
    say({ t: "asked" });
    // A server that started again knows nobody who is away.
    if (was?.away && floor.value && !floor.value.away) post("/v1/presence", { state: "away" }).catch(() => {});
  });
  on("floor", (floor: Floor) => say({ t: "floor", floor }));
  on("phone", (phone: PhoneView) => say({ t: "phone", phone }));
  on("beat", () => say({ t: "beat" }));
  on("alerts", (alarms: { open: number; turn: number }) => say({ t: "alarms", alarms }));
  on("approvals", () => say({ t: "asked" }));
  on("signed_out", () => { s.close(); say({ t: "out" }); });
  s.onerror = async () => {
    if (s !== source) return;
    say({ t: "link", link: "reconnecting" });
    if (s.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    try {
      await get("/v1/me");
    } catch (e) {
      if (e instanceof Refused && e.kind === "unauthenticated") return say({ t: "out" });
    }
    setTimeout(() => { if (s === source) open(); }, 2000);
  };
}

// again begins the stream anew, as after a network that went without a word.
function again() {
  say({ t: "link", link: "reconnecting" });
  open();
}

// lead waits until this tab is the one that holds the stream.
function lead(steal = false) {
  navigator.locks.request("ringfence-live", steal ? { steal } : {}, () => {
    leading = true;
    open();
    return new Promise<void>(() => {}); // until this tab closes; then another one leads
  }).catch(() => { // another tab took over from us, because we slept
    leading = false;
    source?.close();
    source = null;
    lead();
  });
}

export function start() {
  channel.postMessage({ t: "hello" } satisfies Message);
  lead();
  addEventListener("online", () => { if (leading && link.value !== "live") again(); });
  setInterval(() => {
    const quiet = Date.now() - heard;
    if (leading && quiet > silent) again();
    else if (!leading && quiet > 2 * silent) { heard = Date.now(); lead(true); }
  }, 2000);
}
