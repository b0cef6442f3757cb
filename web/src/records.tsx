// Calls and audit: the ledger as people read it. The page proves nothing by
// itself (the same server serves it); it names the command that does.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { attempt, Button, Panel } from "./parts";

interface Entry { index: number; at: string; event: string; traversal?: string; release?: string; subject?: string; person?: string; client?: string; leg?: string; challenge?: string; object?: string; data?: Record<string, string> }
interface Page { entries: Entry[]; size: number; next?: number; people: Record<string, string> }
interface Proof { index: number; size: number; leaf: string; root: string; path: string[] }

const when = (at: string) => new Date(at).toISOString().replace("T", " ").slice(0, 19);

export function RecordsPage({ audit }: { audit: boolean }) {
  const query = new URLSearchParams(location.search);
  const key = ["traversal", "release", "subject", "event"].find((k) => query.get(k));
  const value = key ? query.get(key)! : "";
  const detail = key === "traversal" || key === "release";
  const filter = key ? `&${key}=${encodeURIComponent(value)}` : audit ? "" : "&event=traversal.began";
  const [pages, setPages] = useState<Page[]>([]);
  const last = pages.at(-1);
  const load = (from?: number) => attempt(async () => {
    const page = await get<Page>(`/v1/ledger/entries?limit=${detail ? 200 : 50}${detail ? "" : "&newest=true"}${filter}${from === undefined ? "" : `&from=${from}`}`);
    setPages((old) => (from === undefined ? [page] : [...old, page]));
  });
  useEffect(() => { void load(); }, []);
  const entries = pages.flatMap((p) => p.entries);
  const people = Object.assign({}, ...pages.map((p) => p.people)) as Record<string, string>;
  return (
    <main>
      <h1>{audit ? "Audit" : "Calls"}</h1>
      <form class="inline search" method="get">
        <label for="q">{audit ? "Event, or the id of a call, release or subject" : "Id of a call, release or subject"}</label>
        <input id="q" defaultValue={value} autocomplete="off" spellcheck={false} onInput={(e) => {
          const text = e.currentTarget.value.trim();
          e.currentTarget.name = text.startsWith("rel_") ? "release" : text.startsWith("sub_") ? "subject" : text.startsWith("trv_") ? "traversal" : "event";
        }} />
        <button type="submit">Search</button>
      </form>
      <Panel title={detail ? `Everything about ${value}` : key ? `${value}, newest first` : audit ? "Newest entries" : "Newest calls"} side={last && <span class="aside pills">{last.size.toLocaleString("en")} entries in the log</span>}>
        <ol class="entries">
          {entries.map((e) => <One e={e} open={!audit && !detail} by={e.person ? people[e.person] ?? e.person : e.client} />)}
          {last && entries.length === 0 && <li class="aside">Nothing is recorded.</li>}
        </ol>
        {last?.next !== undefined && <Button act={() => load(last.next)}>{detail ? "Later ones" : "Older ones"}</Button>}
      </Panel>
      <Panel title="Check it yourself">
        <p>Copy the data folder and a checkpoint that was kept elsewhere to another machine, and run:</p>
        <p><code>ringfence ledger verify COPY --checkpoint FILE</code></p>
        <p class="aside">It needs no network and names the place of an edit, a deletion, a swap or a cut tail. A check made by this page would only repeat what this server says.</p>
      </Panel>
    </main>
  );
}

function One({ e, open, by }: { e: Entry; open: boolean; by?: string }) {
  const [proof, setProof] = useState<Proof | null>(null);
  const more = Object.entries(e.data ?? {}).filter(([, v]) => v);
  return (
    <li>
      <div class="line"><span class="num aside">{e.index}</span><time dateTime={e.at}>{when(e.at)}</time><strong>{e.event}</strong>
        {e.traversal && <a href={`?traversal=${e.traversal}`}>{open ? "Open the call" : "call"}</a>}
        {e.release && <a href={`?release=${e.release}`}>release</a>}
        {by && <span class="aside">by <bdi>{by}</bdi></span>}
        <button type="button" class="quiet" aria-label={`Proof of entry ${e.index}`} onClick={() => attempt(async () => setProof(proof ? null : await get<Proof>(`/v1/ledger/proof?index=${e.index}`)))}>Proof</button>
      </div>
      {more.length > 0 && <p class="aside">{more.map(([k, v]) => `${k.replaceAll("_", " ")}: ${v}`).join(" · ")}</p>}
      {proof && <dl class="proof"><div><dt>Leaf</dt><dd>{proof.leaf}</dd></div><div><dt>Root of {proof.size} entries</dt><dd>{proof.root}</dd></div><div><dt>Audit path</dt><dd>{proof.path.join(" ") || "none"}</dd></div></dl>}
    </li>
  );
}
