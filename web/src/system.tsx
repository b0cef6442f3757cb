// What is configured and how it stands. Nothing here is changed here: each
// part says where it is.

import { useEffect, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { get, post } from "./api";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { age, lasts } from "./words";
import type { Me, Tri } from "./types";

interface Fact { what: string; says: string; where: string }
interface System {
  tenants: { id: string; name: string; language?: string; host?: string }[];
  listeners: { name: string; transport: string; addr: string; bound: boolean; trunks: string[] }[];
  trunks: { name: string; transport: string; outbound: boolean; agents: boolean; calls: number; peers: { addr: string; health: Tri }[]; binding?: string; code?: number; until?: string }[];
  lines: { name: string; numbers: string[]; flow: string; fallback?: string; timezone?: string; hours: string[]; open: boolean; recorded?: string }[];
  queues: { name: string; people: string[]; uri?: string; strategy: string; ready: number; waiting: number; since?: string }[];
  executors: { name: string; actions: string[]; proof: string; webhook?: string }[];
  keys: { name: string; for: string; id?: string; until?: string; where: string; fault?: string }[];
  kept: Fact[]; carried: Fact[]; warnings: string[];
  policy: {
    name: string; file: string; hash: string; actions: { type: string; says: string; class: string; needs: string[]; fresh: string; hold?: string; group?: string; count?: number; line: number; text: string }[];
    classes: { class: string; any_of: string[]; where: string }[]; waivers: { rule: string; value: string; reason: string; until: string }[];
  };
}
interface Delivery { id: string; release: string; executor: string; state: "pending" | "delivered" | "failed"; at: string; next?: string; tries: number; attempts: { at: string; status?: number; says?: string; ms: number }[] }

const TABS: [string, string][] = [["telephone", "Telephone"], ["rules", "Rules"], ["systems", "Systems"], ["keys", "Keys"], ["keeping", "Keeping"]];

const Where = ({ children }: { children: ComponentChildren }) => <p class="aside">Change it under <code>{children}</code> in <code>ringfence.yaml</code>, then start ringfence again.</p>;

export function SystemPage({ me }: { me: Me }) {
  const [s, setS] = useState<System | null>(null);
  const [tab, setTab] = useState(location.hash.slice(1) || "telephone");
  const load = () => attempt(async () => setS(await get("/v1/system")));
  useEffect(() => {
    void load();
    const again = () => setTab(location.hash.slice(1) || "telephone");
    addEventListener("hashchange", again);
    return () => removeEventListener("hashchange", again);
  }, []);
  if (!s) return <main><h1>Admin</h1></main>;
  return (
    <main>
      <div class="title"><h1>Admin</h1><a href="/reference">API reference</a><Button quiet act={load}>Look again</Button></div>
      {s.warnings.length > 0 && <Panel title="Worth a second look"><ul class="notes">{s.warnings.map((w) => <li>{w}</li>)}</ul></Panel>}
      <nav class="parts" aria-label="Parts">{TABS.map(([id, name]) => <a href={`#${id}`} aria-current={tab === id ? "true" : undefined}>{name}</a>)}</nav>
      {tab === "rules" ? <Rules s={s} /> : tab === "systems" ? <Systems s={s} me={me} /> : tab === "keys" ? <Keys s={s} /> : tab === "keeping" ? <Keeping s={s} /> : <Telephone s={s} />}
    </main>
  );
}

const HEALTH: Record<Tri, [string, "ok" | "bad" | "plain"]> = { yes: ["Answers", "ok"], no: ["Does not answer", "bad"], unknown: ["Not asked", "plain"] };
const BINDING: Record<string, "ok" | "warn" | "bad" | "plain"> = { registered: "ok", trying: "warn", refused: "bad", unreachable: "bad", removed: "plain" };

function Telephone({ s }: { s: System }) {
  return (
    <div class="two">
      <Panel title="Trunks">
        <ul class="rows">
          {s.trunks.map((t) => (
            <li>
              <div><strong>{t.name}</strong><p class="aside">{[t.transport, t.agents && "agents' phones", t.outbound && "calls to the outside", `${t.calls} in progress`].filter(Boolean).join(" · ")}</p>{t.peers.map((p) => <p class="line aside">{p.addr} <Pill how={HEALTH[p.health][1]}>{HEALTH[p.health][0]}</Pill></p>)}</div>
              <div class="end">{t.binding && <Pill how={BINDING[t.binding] ?? "plain"}>{t.binding}{t.code ? ` ${t.code}` : ""}</Pill>}</div>
            </li>
          ))}
          {s.trunks.length === 0 && <li><p class="aside">None that you may see.</p></li>}
        </ul>
        <Where>sip.trunks</Where>
      </Panel>
      <Panel title="Listeners">
        <ul class="rows">{s.listeners.map((l) => <li><div><strong>{l.name}</strong><p class="aside">{l.transport} · {l.addr} · {l.trunks.length ? l.trunks.join(", ") : "all trunks"}</p></div><div class="end"><Pill how={l.bound ? "ok" : "bad"}>{l.bound ? "Listening" : "Not bound"}</Pill></div></li>)}</ul>
        <Where>sip.listeners</Where>
      </Panel>
      <Panel title="Lines">
        <ul class="rows">{s.lines.map((l) => <li><div><strong>{l.name}</strong> <span class="aside">{l.numbers.join(", ")}</span><p class="aside">flow {l.flow}{l.fallback && `, else queue ${l.fallback}`}{l.hours.length > 0 && ` · ${l.hours.join("; ")} ${l.timezone ?? ""}`}{l.recorded && ` · recorded, class ${l.recorded}`}</p></div><div class="end"><Pill how={l.open ? "ok" : "plain"}>{l.open ? "Open" : "Closed now"}</Pill></div></li>)}</ul>
        <Where>lines</Where>
      </Panel>
      <Panel title="Queues">
        <ul class="rows">{s.queues.map((q) => <li><div><strong>{q.name}</strong><p class="aside">{q.uri ? q.uri : q.people.includes("*") ? "every agent" : q.people.join(", ")} · {q.strategy.replace("_", " ")}</p></div><div class="end">{!q.uri && <Pill how={q.ready ? "ok" : "warn"}>{q.ready} ready</Pill>}{q.waiting > 0 ? <><Pill how="warn">{q.waiting} waiting</Pill><span class="aside">the longest {lasts(Date.now() - Date.parse(q.since!))}</span></> : <span class="aside">nobody waits</span>}</div></li>)}</ul>
        <Where>queues</Where>
      </Panel>
      <Panel title="Tenants">
        <ul class="rows">{s.tenants.map((t) => <li><div><strong><bdi>{t.name}</bdi></strong><p class="aside">{[t.id, t.language, t.host].filter(Boolean).join(" · ")}</p></div></li>)}</ul>
        <Where>tenants</Where>
      </Panel>
    </div>
  );
}

function Rules({ s }: { s: System }) {
  const p = s.policy;
  return (
    <>
      <Panel title={`Policy ${p.name}`} side={<span class="aside">hash <code>{p.hash.slice(0, 16)}</code></span>}>
        <div class="scroll" tabIndex={0} role="region" aria-label="Actions of the policy"><table class="cards">
          <thead><tr><th>Action</th><th>Class</th><th>Needs</th><th>Fresh</th><th>Waiting</th><th>Who approves</th></tr></thead>
          <tbody>{p.actions.map((a) => <tr><td><bdi>{a.says}</bdi><p class="aside">{a.type}</p><details><summary class="aside">{p.file}:{a.line}</summary><pre>{a.text}</pre></details></td><td data-of="Class">{a.class}</td><td class="all" data-of="Needs">{a.needs.length ? a.needs.map((n) => <p>{n}</p>) : "the floor of its class"}</td><td class="num" data-of="Fresh">{a.fresh}</td><td class="num" data-of="Waiting">{a.hold ?? "as its class"}</td><td data-of={a.group && "Who approves"}>{a.group ? `${a.count || 1} of ${a.group}` : ""}</td></tr>)}</tbody>
        </table></div>
        <p class="aside">It is changed under <a href="/flows">Flows</a> in <code>{p.file}</code>, signed by two persons; a looser one takes effect later.</p>
      </Panel>
      <Panel title="Floors that no policy goes under">
        <dl class="floors">{p.classes.map((c) => <div><dt>{c.class}</dt><dd>{c.any_of.map((f) => <p>{f}</p>)}<p class="aside"><code>{c.where}</code></p></dd></div>)}</dl>
        <p class="aside">They are part of the program. Any one line of a class is the least that releases it.</p>
      </Panel>
      <Panel title="Waivers in force">
        {p.waivers.length > 0 && <ul class="rows">{p.waivers.map((w) => <li><div><strong>{w.rule}: {w.value}</strong><p class="aside"><bdi>{w.reason}</bdi></p></div><div class="end aside">until {new Date(w.until).toLocaleDateString("en-GB")}</div></li>)}</ul>}
        {p.waivers.length === 0 && <p class="aside">None. Everything is at least as strict as shipped.</p>}
      </Panel>
    </>
  );
}

const PROOF: Record<string, string> = { dpop: "proves its key by DPoP", certificate: "shows a client certificate", none: "credential only (loopback)" };
const STATE: Record<string, "ok" | "warn" | "bad"> = { delivered: "ok", pending: "warn", failed: "bad" };

function Systems({ s, me }: { s: System; me: Me }) {
  const [log, setLog] = useState<Delivery[]>([]);
  const [state, setState] = useState("");
  const may = me.roles.some((r) => r === "admin" || r === "ops" || r === "risk");
  const load = () => attempt(async () => setLog((await get<{ deliveries: Delivery[] }>(`/v1/webhooks/deliveries?limit=50${state && `&state=${state}`}`)).deliveries));
  useEffect(() => { void load(); }, [state]);
  return (
    <>
      <Panel title="Executors">
        <ul class="rows">{s.executors.map((e) => <li><div><strong>{e.name}</strong><p class="aside">{e.actions.join(", ")}</p></div><div class="end"><Pill how={e.proof === "none" ? "warn" : "ok"}>{PROOF[e.proof] ?? e.proof}</Pill><span class="aside">{e.webhook ? `told at ${e.webhook}` : "asks by itself"}</span></div></li>)}
          {s.executors.length === 0 && <li><p class="aside">None: releases stay ready and nothing is executed.</p></li>}</ul>
        <Where>executors</Where>
      </Panel>
      <Panel title="Announcements to executors" side={<span class="pills"><label class="hidden" for="d-state">Show</label><select id="d-state" value={state} onChange={(e) => setState(e.currentTarget.value)}><option value="">All</option><option value="pending">Pending</option><option value="delivered">Delivered</option><option value="failed">Failed</option></select></span>}>
        <ul class="rows">
          {log.map((d) => (
            <li>
              <div><strong>{d.executor}</strong> <span class="aside">{age(d.at, Date.now())}</span><p class="aside"><code>{d.release}</code></p>
                {d.attempts.length > 0 && <details><summary>{d.tries} {d.tries === 1 ? "attempt" : "attempts"}</summary><ul>{d.attempts.map((t) => <li class="aside">{new Date(t.at).toLocaleTimeString("en-GB")}: {t.status ? `HTTP ${t.status}` : t.says || "no answer"}, {t.ms} ms</li>)}</ul></details>}</div>
              <div class="end"><Pill how={STATE[d.state]!}>{d.state}</Pill>{may && d.state !== "pending" && <button type="button" class="quiet" aria-label={`Send the announcement of ${d.release} again`} onClick={() => attempt(async () => { await post(`/v1/webhooks/deliveries/${d.id}/again`); tell("It is sent again."); await load(); })}>Again</button>}</div>
            </li>
          ))}
          {log.length === 0 && <li><p class="aside">Nothing was announced.</p></li>}
        </ul>
      </Panel>
      <Facts title="How messages travel" list={s.carried} />
      <p class="aside">Service accounts stand under <a href="/people">People</a>.</p>
    </>
  );
}

// soon is when an end is worth a warning.
const soon = 30 * 86400_000;

function Keys({ s }: { s: System }) {
  const rest = (until: string) => Date.parse(until) - Date.now();
  return (
    <Panel title="Keys and certificates">
      <ul class="rows">
        {s.keys.map((k) => {
          const left = k.until ? rest(k.until) : 0;
          return (
            <li>
              <div><strong>{k.name}</strong> <span class="aside">{k.for}</span><p class="aside">{k.id && <><code>{k.id}</code> · </>}change it: <code>{k.where}</code></p></div>
              <div class="end">{k.fault ? <Pill how="bad">{k.fault}</Pill> : k.until && <Pill how={left < 0 ? "bad" : left < soon ? "warn" : "ok"}>{left < 0 ? `Ended ${lasts(-left)} ago` : `Ends in ${lasts(left)}`}</Pill>}</div>
            </li>
          );
        })}
        {s.keys.length === 0 && <li><p class="aside">None that you may see.</p></li>}
      </ul>
      <p class="aside">Certificate files are read at every handshake: put a new one in their place and nothing needs a restart.</p>
    </Panel>
  );
}

const Facts = ({ title, list }: { title: string; list: Fact[] }) => (
  <Panel title={title}>
    <ul class="rows">{list.map((f) => <li><div><strong>{f.what}</strong><p class="aside">{f.says}</p></div><div class="end"><code>{f.where}</code></div></li>)}</ul>
    <p class="aside">The key at the right stands in <code>ringfence.yaml</code>; a change takes effect at the next start.</p>
  </Panel>
);

function Keeping({ s }: { s: System }) {
  return <><Facts title="How long things are kept" list={s.kept} /><p class="aside">Recordings of one call are held or deleted in the page <a href="/calls">Calls</a>.</p></>;
}
