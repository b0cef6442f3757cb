// What stands around our own calls: who rings, who waits, what has just ended.

import { useEffect, useState } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { post } from "./api";
import { calls, floor, now, phone } from "./live";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { sound } from "./ring";
import { me } from "./shell";
import { attestSays, fieldName, grouped, lasts, stateSays, wordy } from "./words";
import type { Call, Ringing } from "./types";

export const own = () => [...calls.value.values()].filter((c) => c.owner === me.value?.id);

// ended are our calls that are over for us, the newest first: one may still be
// reported.
export const ended = signal<Call[]>([]);
let had: Call[] = [];
export const watchEnded = () => effect(() => {
  const mine = own();
  const left = had.filter((c) => !mine.some((m) => m.traversal === c.traversal));
  had = mine;
  if (left.length) ended.value = [...left, ...ended.peek()].slice(0, 3);
});

// Rings shows what rings at our telephone.
export function Rings() {
  const rings = floor.value?.ringing ?? [];
  const soft = (phone.value?.calls.length ?? 0) > 0;
  return <>{rings.map((r) => <Ring key={r.reference} r={r} soft={soft} />)}</>;
}

const Ring = ({ r, soft }: { r: Ringing; soft: boolean }) => (
  <Panel title={r.handed ? "A colleague hands you a call" : "Incoming call"} at="ringing" live
    side={<span class="pills"><Pill how={r.attest === "A" ? "ok" : r.stir === "no" ? "bad" : "warn"}>{r.attest ? `Attestation ${r.attest}` : r.stir === "no" ? "Signature failed" : "No attestation"}</Pill></span>}>
    <p class="who" role="alert"><bdi>{r.caller || "Number withheld"}</bdi>{r.caller_name && <span class="aside"> “<bdi>{r.caller_name}</bdi>”</span>}</p>
    <p class="aside">{attestSays(r.attest)} It does not prove who is speaking.</p>
    <p>{r.queue && <>For {wordy(r.queue)}. </>}{soft ? "Answer it in the bar above." : "Answer your telephone: the call appears here."} On the line for {lasts(now.value - Date.parse(r.began))}.</p>
  </Panel>
);

// Waits is one line about the queues, when somebody waits.
export function Waits() {
  const q = floor.value?.queues ?? [];
  if (!q.length) return null;
  return <p class="waits" role="status">{q.map((one) => <span><strong>{one.waiting}</strong> waiting for {wordy(one.name)}{one.since && `, the longest ${lasts(now.value - Date.parse(one.since))}`}</span>)}</p>;
}

// Notices asks once whether the system may tell of calls.
export function Notices() {
  const [asked, setAsked] = useState(typeof Notification === "undefined" ? "none" : Notification.permission);
  useEffect(() => { for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => void sound(), { once: true }); }, []);
  if (asked !== "default") return null;
  return <p><Button act={() => { void Notification.requestPermission().then(setAsked); }}>Tell me of calls in other windows too</Button></p>;
}

export function Report({ traversal, done }: { traversal: string; done: () => void }) {
  const [text, setText] = useState("");
  return (
    <form class="inline" onSubmit={(e) => { e.preventDefault(); void attempt(async () => { await post(`/v1/traversals/${traversal}/report`, { text }); done(); tell("Risk has your report."); }); }}>
      <label for={`report-${traversal}`}>What is wrong with this call?</label>
      <input id={`report-${traversal}`} value={text} maxLength={500} required onInput={(e) => setText(e.currentTarget.value)} />
      <button type="submit">Send report</button>
    </form>
  );
}

export function After({ call }: { call: Call }) {
  const [open, setOpen] = useState(false);
  const away = () => { ended.value = ended.value.filter((c) => c !== call); };
  return (
    <Panel title="You are done with this call">
      <p class="number"><bdi>{call.claim || call.caller || "Number withheld"}</bdi> <span class="aside">call reference {grouped(call.reference)}</span></p>
      {(call.releases ?? []).map((r) => <p>{fieldName(r.says)}: {(stateSays(r.state) ?? "not done").toLowerCase()}.</p>)}
      <div class="ways"><Button act={() => setOpen(!open)}>Report this call</Button><Button quiet act={away}>Put away</Button></div>
      {open && <Report traversal={call.traversal} done={away} />}
    </Panel>
  );
}
