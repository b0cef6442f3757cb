// Calls, audit and drills: finding a call again, reading it from first message
// to last entry, taking away what proves it. A bundle of its own.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { watchAsked } from "./asked";
import { DrillsPage } from "./drills";
import { CallPage } from "./history-call";
import { Entries, VerifyPanel } from "./history-log";
import { attempt, Button, Panel, Pill } from "./parts";
import { here, me, open } from "./shell";
import { day, minutes, releaseWord, when } from "./history-words";
import { TITLES } from "./titles";
import { bare, fieldName } from "./words";
import type { Found, Past } from "./history-types";

const query = new URLSearchParams(location.search);

function SearchPage() {
  const [pages, setPages] = useState<Found[]>([]);
  const asked = new URLSearchParams();
  for (const name of ["text", "action", "from", "to"]) if (query.get(name)) asked.set(name, query.get(name)!.trim());
  if (query.get("alert")) asked.set("alert", "true");
  const last = pages.at(-1);
  const load = (before?: string) => attempt(async () => {
    const q = new URLSearchParams(asked);
    if (before) q.set("before", before);
    const page = await get<Found>(`/v1/history?${q}`);
    setPages((old) => (before ? [...old, page] : [page]));
  });
  useEffect(() => { void load(); }, []);
  const calls = pages.flatMap((p) => p.calls);
  const names = Object.assign({}, ...pages.map((p) => p.names)) as Record<string, string>;
  const first = pages[0];
  const title = asked.size === 0 ? "Newest calls" : !last ? "Looking" : calls.length === 0 ? "Nothing found" : `${calls.length}${last.next ? "+" : ""} ${calls.length === 1 ? "call" : "calls"} found`;
  return (
    <main>
      <h1>Calls</h1>
      <form class="search" method="get">
        <div class="wide"><label for="q-text">A whole number, call reference, account, colleague or id</label>
          <input id="q-text" name="text" maxLength={80} defaultValue={query.get("text") ?? ""} autocomplete="off" spellcheck={false} /></div>
        <div><label for="q-action">Action</label>
          <select id="q-action" name="action" defaultValue={query.get("action") ?? ""}>
            <option value="">Any or none</option>
            {me.value!.actions?.map((a) => <option value={a.type} selected={a.type === query.get("action")}>{fieldName(a.type)}</option>)}
          </select></div>
        <div><label for="q-from">From</label><input id="q-from" name="from" type="date" defaultValue={query.get("from") ?? ""} /></div>
        <div><label for="q-to">To</label><input id="q-to" name="to" type="date" defaultValue={query.get("to") ?? ""} /></div>
        <label class="check"><input type="checkbox" name="alert" value="1" defaultChecked={!!query.get("alert")} /> With an alert</label>
        <div class="go"><button type="submit" class="main">Search</button>{asked.size > 0 && <a href="/calls">All calls</a>}</div>
      </form>
      {first && first.people.length + first.subjects.length > 0 && (
        <Panel title="Also found">
          <ul class="links">
            {first.people.map((p) => <li><a href={`?text=${p.id}`}>Calls of <bdi>{bare(p.name)}</bdi></a>{p.team && <span class="aside"> {p.team}</span>}</li>)}
            {first.subjects.map((s) => <li><a href={`?text=${s.id}`}>Calls about this {s.kind.replaceAll("_", " ")}</a> <a href={`/audit?subject=${s.id}`}>Entries</a> <span class="aside">{s.id}</span></li>)}
          </ul>
        </Panel>
      )}
      <Panel title={title}>
        {calls.length > 0 && (
          <ol class="calls" aria-label="Calls">
            {calls.map((c) => <Row c={c} names={names} />)}
          </ol>
        )}
        {last && calls.length === 0 && <p class="aside">{asked.size ? "Numbers and accounts are found whole only. Check the digits, or take a criterion away." : "No call was kept yet."}</p>}
        {last?.next && <Button act={() => load(last.next)}>Older ones</Button>}
      </Panel>
    </main>
  );
}

function Row({ c, names }: { c: Past; names: Record<string, string> }) {
  return (
    <li class={c.alert ? "red" : ""}>
      <div>
        <p><a href={`/calls?traversal=${c.traversal}`}>{c.reference || c.traversal}</a> <span class="aside">{c.direction === "outbound" ? "we called" : c.caller || "withheld"} · {c.line}</span></p>
        {c.alert && <p class="why"><bdi>{c.alert}</bdi></p>}
        {c.actions.map((a) => <p>{a.says} <Pill how={releaseWord(a.state)[1]}>{releaseWord(a.state)[0]}</Pill></p>)}
        {c.people.length > 0 && <p class="aside">with <bdi>{bare(c.people.map((p) => names[p] ?? p).join(", "))}</bdi></p>}
      </div>
      <div class="end">
        <time dateTime={c.began}>{day(c.began)} {when(c.began)}</time>
        <span class="pills">{c.live ? <Pill how="ok">Live</Pill> : <span class="aside">{c.ended ? minutes(Date.parse(c.ended) - Date.parse(c.began)) : "no end seen"}</span>}
          <Pill how={c.stir === "no" ? "bad" : c.stir === "yes" && c.attest === "A" ? "ok" : "warn"}>{c.stir === "no" ? "Signature failed" : c.attest && c.stir === "yes" ? `Signed ${c.attest}` : "Not signed"}</Pill></span>
      </div>
    </li>
  );
}

function AuditPage() {
  const key = ["traversal", "release", "subject", "event"].find((k) => query.get(k));
  const value = key ? query.get(key)! : "";
  return (
    <main>
      <h1>Audit</h1>
      <form class="inline search-one" method="get">
        <label for="q">Event, or the id of a call, release or subject</label>
        <input id="q" defaultValue={value} autocomplete="off" spellcheck={false} onInput={(e) => {
          const text = e.currentTarget.value.trim();
          e.currentTarget.name = text.startsWith("rel_") ? "release" : text.startsWith("sub_") ? "subject" : text.startsWith("trv_") ? "traversal" : "event";
        }} />
        <button type="submit">Search</button>
      </form>
      <Entries title={key ? `${value}, newest first` : "Newest entries"} filter={key ? `${key}=${encodeURIComponent(value)}` : ""} newest />
      <VerifyPanel of={key === "release" || key === "traversal" ? `${key}=${encodeURIComponent(value)}` : ""} />
    </main>
  );
}

const page = () => {
  if (here() === "audit") return <AuditPage />;
  if (here() === "drills") return <DrillsPage />;
  const one = query.get("traversal");
  return one ? <CallPage id={one} /> : <SearchPage />;
};

open(page, () => {
  document.title = `${TITLES[here()]} · ringfence`;
  watchAsked();
});
