// What somebody has to look at: alerts of calls and acts, and conditions of the
// installation that begin and end. Each is closed by a person, with a note.

import { useEffect, useRef, useState } from "preact/hooks";
import { get, post } from "./api";
import { HeldActions } from "./held";
import { alarms, now } from "./live";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { age, clock } from "./words";
import type { Me } from "./types";

interface Alert {
  id: string; kind: string; says: string; text?: string; grave: boolean; at: string; over?: string; times: number; traversal?: string; release?: string;
  acknowledged?: { name: string; at: string; note: string };
}
interface Page { alerts: Alert[]; open: number; next?: string }

const KINDS: [string, string][] = [
  ["duress", "Under pressure"], ["rejected", "“I did not ask for this”"], ["call", "Reported calls"], ["diverted", "Diverted call-backs"], ["cloned", "Copied passkeys"],
  ["spray", "PIN tried on many"], ["reconciliation", "Executors' journals"], ["recording", "Not recorded"], ["emergency", "Emergency calls"], ["ramp", "Ramps"],
  ["clock", "Clock"], ["ledger", "Ledger"], ["certificate", "Certificates"], ["trunk", "Trunks"], ["delivery", "Messages"], ["webhook", "Webhooks"], ["executor", "Executors that say nothing"], ["unverified", "Unverified calls"], ["passkey", "Passkeys of staff"],
];

const query = new URLSearchParams(location.search);

export function AlertsPage({ me }: { me: Me }) {
  const [state, setState] = useState(query.get("state") ?? "open");
  const [kind, setKind] = useState(query.get("kind") ?? "");
  const [pages, setPages] = useState<Page[] | null>(null);
  const may = me.roles.some((r) => r !== "auditor" && r !== "agent");
  const watches = me.roles.some((r) => r === "supervisor" || r === "risk");
  const load = (before?: string) => attempt(async () => {
    const q = new URLSearchParams({ state });
    if (kind) q.set("kind", kind);
    if (before) q.set("before", before);
    const page = await get<Page>(`/v1/alerts?${q}`);
    setPages((old) => (before && old ? [...old, page] : [page]));
  });
  useEffect(() => {
    const q = new URLSearchParams();
    if (state !== "open") q.set("state", state);
    if (kind) q.set("kind", kind);
    history.replaceState(null, "", q.size ? `?${q}` : location.pathname);
  }, [state, kind]);
  useEffect(() => { void load(); }, [state, kind, alarms.value.turn]);
  const all = pages?.flatMap((p) => p.alerts) ?? [];
  const next = pages?.at(-1)?.next;
  return (
    <main class="narrow">
      <div class="title">
        <h1>Alerts</h1>
        <div class="filters">
          <div><label class="hidden" for="a-state">State</label>
            <select id="a-state" value={state} onChange={(e) => setState(e.currentTarget.value)}><option value="open">Open</option><option value="done">Looked at</option><option value="all">All</option></select></div>
          <div><label class="hidden" for="a-kind">About</label>
            <select id="a-kind" value={kind} onChange={(e) => setKind(e.currentTarget.value)}><option value="">About anything</option>{KINDS.filter(([k]) => k !== "duress" || watches).map(([k, name]) => <option value={k}>{name}</option>)}</select></div>
        </div>
      </div>
      {me.roles.includes("risk") && state === "open" && !kind && <HeldActions />}
      {pages && all.length === 0 && <Panel title={state === "open" ? "Nothing to look at" : "None"}><p class="aside">{state === "open" ? (kind ? "No open alert of this kind." : "No alert is open. What you looked at is kept under Looked at.") : "No alert of this kind was raised."}</p></Panel>}
      {all.length > 0 && <ul class="alerts" aria-label="Alerts">{all.map((a) => <Row key={a.id} a={a} may={may} done={load} calls={me.pages.includes("calls")} risk={me.roles.includes("risk")} />)}</ul>}
      {next && <div class="go"><Button act={() => load(next)}>Older ones</Button></div>}
    </main>
  );
}

function Row({ a, may, done, calls, risk }: { a: Alert; may: boolean; done: () => void; calls: boolean; risk: boolean }) {
  const [note, setNote] = useState("");
  const [open, setOpen] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => { if (open) field.current?.focus(); }, [open]);
  const send = (e: Event, before?: () => Promise<unknown>) => {
    e.preventDefault();
    if (!note.trim()) return tell("Say what you found or did.");
    void attempt(async () => {
      await before?.();
      await post(`/v1/alerts/${a.id}/acknowledge`, { note });
      tell("Noted, under your name.");
      done();
    });
  };
  const closed = !!a.acknowledged;
  return (
    <li class={`panel ${!closed && a.grave && !a.over ? "grave" : ""}`}>
      <div class="head">
        <div>
          <h2>{a.says}</h2>
          {a.text && <p><bdi>{a.text}</bdi></p>}
          <p class="aside">
            <time dateTime={a.at} title={new Date(a.at).toLocaleString("en-GB")}>{age(a.at, now.value)}</time>
            {a.times > 1 && ` · ${a.times} times`}
            {a.over && ` · over since ${clock(a.over)}`}
            {calls && a.traversal && <> · <a href={`/calls?traversal=${a.traversal}`}>Show the call</a></>}
            {calls && a.release && <> · <a href={`/audit?release=${a.release}`}>Show the action</a></>}
          </p>
        </div>
        <Pill how={closed ? "plain" : a.over ? "ok" : a.grave ? "bad" : "warn"}>{closed ? "Looked at" : a.over ? "Over by itself" : "Open"}</Pill>
      </div>
      {a.acknowledged && <p class="note"><bdi>{a.acknowledged.note}</bdi> <span class="aside"><bdi>{a.acknowledged.name}</bdi>, {age(a.acknowledged.at, now.value)}</span></p>}
      {!closed && may && !open && <div class="go"><button type="button" aria-label={`Acknowledge: ${a.says}, ${age(a.at, now.value)}`} onClick={() => setOpen(true)}>Acknowledge</button></div>}
      {!closed && may && open && (
        <form class="inline" onSubmit={send}>
          <label for={`n-${a.id}`}>What you found or did</label>
          <input id={`n-${a.id}`} value={note} maxLength={200} autocomplete="off" ref={field} placeholder="Carrier told; it comes back at two" onInput={(e) => setNote(e.currentTarget.value)} />
          <button type="submit" class="main">Note it</button>
          {a.kind === "clock" && !a.over && risk && <button type="button" onClick={(e) => send(e, () => post("/v1/clock/confirm", { why: note }))}>The time is right</button>}
        </form>
      )}
    </li>
  );
}
