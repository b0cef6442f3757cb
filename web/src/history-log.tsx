// Entries of the ledger, and how they are checked. The page proves nothing by
// itself (the same server serves it); it names the command that does.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { attempt, Button, Panel, tell } from "./parts";
import { day, when } from "./history-words";
import { bare } from "./words";
import type { Entry, EntryProof, LogPage } from "./history-types";

export function Entries({ title, filter, newest, seen }: { title: string; filter: string; newest?: boolean; seen?: (size: number, last: number) => void }) {
  const [pages, setPages] = useState<LogPage[]>([]);
  const last = pages.at(-1);
  const load = (from?: number) => attempt(async () => {
    const page = await get<LogPage>(`/v1/ledger/entries?limit=${newest ? 50 : 200}${newest ? "&newest=true" : ""}${filter ? `&${filter}` : ""}${from === undefined ? "" : `&from=${from}`}`);
    setPages((old) => (from === undefined ? [page] : [...old, page]));
    seen?.(page.size, page.entries.at(-1)?.index ?? 0);
  });
  useEffect(() => { void load(); }, []);
  const entries = pages.flatMap((p) => p.entries);
  const people = Object.assign({}, ...pages.map((p) => p.people)) as Record<string, string>;
  return (
    <Panel title={title} side={last && <span class="aside pills">{last.size.toLocaleString("en")} entries in the log</span>}>
      <ol class="entries">
        {entries.map((e) => <One key={e.index} e={e} by={e.person ? people[e.person] ?? e.person : e.client} call={newest} />)}
        {last && entries.length === 0 && <li class="aside">Nothing is recorded.</li>}
      </ol>
      {last?.next !== undefined && <Button act={() => load(last.next)}>{newest ? "Older ones" : "Later ones"}</Button>}
    </Panel>
  );
}

function One({ e, by, call }: { e: Entry; by?: string; call?: boolean }) {
  const [proof, setProof] = useState<EntryProof | null>(null);
  const more = Object.entries(e.data ?? {}).filter(([, v]) => v);
  return (
    <li>
      <div class="line"><span class="num aside">{e.index}</span><time dateTime={e.at}>{call && `${day(e.at)} `}{when(e.at)}</time><strong>{e.event}</strong>
        {call && e.traversal && <a href={`/calls?traversal=${e.traversal}`}>call</a>}
        {e.release && <a href={`/audit?release=${e.release}`}>release</a>}
        {by && <span class="aside">by <bdi>{bare(by)}</bdi></span>}
        <button type="button" class="quiet" aria-expanded={!!proof} aria-label={`Proof of entry ${e.index}`} onClick={() => attempt(async () => setProof(proof ? null : await get<EntryProof>(`/v1/ledger/proof?index=${e.index}`)))}>Proof</button>
      </div>
      {more.length > 0 && <p class="aside"><bdi>{bare(more.map(([k, v]) => `${k.replaceAll("_", " ")}: ${v}`).join(" · "))}</bdi></p>}
      {proof && <dl class="proof"><div><dt>Leaf</dt><dd>{proof.leaf}</dd></div><div><dt>Root of {proof.size} entries</dt><dd>{proof.root}</dd></div><div><dt>Audit path</dt><dd>{proof.path.join(" ") || "none"}</dd></div></dl>}
    </li>
  );
}

const Command = ({ children }: { children: string }) => (
  <div class="command"><code>{children}</code><button type="button" class="quiet" aria-label={`Copy the command ${children}`} onClick={() => navigator.clipboard.writeText(children).then(() => tell("Copied."), () => tell("Your browser does not let pages copy. Select the text.", true))}>Copy</button></div>
);

// VerifyPanel hands out what proves the entries, with the newest signed head.
export function VerifyPanel({ of, last }: { of: string; last?: number }) {
  const [head, setHead] = useState<string | null>(null);
  useEffect(() => {
    fetch("/v1/ledger/checkpoint").then(async (r) => setHead(r.ok ? await r.text() : ""), () => setHead(""));
  }, []);
  if (head === null) return null;
  const size = Number(head.split("\n")[1] ?? 0);
  return (
    <Panel title="Check it yourself">
      {!head && <p class="aside">No checkpoint was signed yet. One is, at least every minute.</p>}
      {head && of && (
        <>
          <p>The entries above, each with its proof against the signed head of {size.toLocaleString("en")} entries. Whoever has this file and the log's public key asks nobody:</p>
          <div class="go"><a class="button" href={`/v1/ledger/proofs?${of}`} download="ringfence-proofs.jsonl">Download the proofs</a></div>
          <Command>ringfence ledger prove --check ringfence-proofs.jsonl --key auditor.key</Command>
          {last !== undefined && last >= size && <p class="aside">Entries from {size.toLocaleString("en")} on are newer than the head. They are in the file a minute from now.</p>}
        </>
      )}
      <p>The whole log, to find an edit, a deletion or a swap; with a checkpoint that was kept elsewhere, a cut tail or a rollback too:</p>
      <div class="go"><a class="button" href="/v1/ledger/bundle" download="ringfence-ledger.jsonl">Download the whole log</a></div>
      <Command>ringfence ledger verify ringfence-ledger.jsonl --key auditor.key --checkpoint FILE</Command>
      {head && <details><summary>Newest signed checkpoint</summary><pre class="head" tabIndex={0}>{head}</pre></details>}
      <p class="aside">Both commands need no network. A check made by this page would only repeat what this server says.</p>
    </Panel>
  );
}
