// Subjects from a file. A dry run says what is wrong, line by line; a clean
// file waits until two persons have signed it with their passkeys.

import { useEffect, useRef, useState } from "preact/hooks";
import { get, post } from "./api";
import { now } from "./live";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { NotDone, use } from "./passkey";
import { age } from "./words";

interface Fault { line: number; column?: string; says: string }
interface Report {
  rows: number; subjects: Record<string, number>; contact_points: Record<string, number>; pins: number; totps: number; payees: number; mandates: number;
  made: number; oldest?: string; undated: number; faults: Fault[]; more_faults: number; notes: Fault[];
}
interface Waiting { id: string; by: string; at: string; source: string; sha256: string; report: Report; sample: { line: number; kind: string; says: string; contacts: string[] }[]; signed: string[]; mine: boolean }
interface Secret { subject: string; pin?: string; uri?: string }

const LONGEST = 10 * 1024 * 1024;

export function ImportPage() {
  const [waiting, setWaiting] = useState<Waiting[] | null>(null);
  const [secrets, setSecrets] = useState<Secret[] | null>(null);
  const load = () => attempt(async () => setWaiting((await get<{ imports: Waiting[] }>("/v1/imports")).imports));
  useEffect(() => { void load(); }, []);
  // Nobody leaves the page by accident while it shows what is shown once.
  useEffect(() => {
    if (!secrets?.length) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [secrets]);
  const sign = (id: string) => attempt(async () => {
    try {
      const begun = await post<any>(`/v1/imports/${id}/begin`);
      const out = await post<{ done: boolean; waiting?: string; secrets: Secret[] }>(`/v1/imports/${id}/finish`, { ceremony: begun.ceremony, response: await use(begun.options) });
      if (out.done) setSecrets(out.secrets);
      tell(out.done ? "Signed. Everything is on file." : out.waiting ?? "Signed. A second person has to sign as well.");
    } catch (e) {
      if (!(e instanceof NotDone)) throw e;
      tell("No passkey was used. Nothing is signed.");
    }
    await load();
  });
  return (
    <main>
      <h1>Import</h1>
      {secrets && <Result secrets={secrets} done={() => setSecrets(null)} />}
      {waiting?.map((w) => (
        <Panel key={w.id} title={`Import by ${w.by}, ${age(w.at, now.value)}`} side={<span class="pills"><Pill how="warn">{w.signed.length} of 2 signed</Pill></span>}>
          <p><strong><bdi>{w.source}</bdi></strong></p>
          <Summary r={w.report} />
          <ul class="rows" aria-label="The first of them">
            {w.sample.map((s) => <li key={s.line}><div>{s.kind} <strong><bdi>{s.says}</bdi></strong><p class="aside">{s.contacts.join(" · ")}</p></div><div class="end aside">line {s.line}</div></li>)}
          </ul>
          <Lines list={w.report.notes} title="Worth a look" />
          <p class="aside">Compare with the source before you sign. SHA-256 of the file: <code>{w.sha256}</code></p>
          <p class="aside">{w.signed.length ? `Signed by ${w.signed.join(" and ")}.` : "Nobody has signed yet."} Two different persons have to sign.</p>
          <div class="go">
            <Button main why={w.mine ? "You have signed. Another person has to." : undefined} act={() => sign(w.id)}>Sign with a passkey</Button>
            <Button quiet act={() => attempt(async () => { await post(`/v1/imports/${w.id}/discard`); await load(); })}>Drop</Button>
          </div>
        </Panel>
      ))}
      <Try kept={load} />
    </main>
  );
}

function Try({ kept }: { kept: () => void }) {
  const [source, setSource] = useState("");
  const [text, setText] = useState("");
  const [report, setReport] = useState<Report | null>(null);
  const [busy, setBusy] = useState(false);
  const out = useRef<HTMLDivElement>(null);
  const run = () => attempt(async () => {
    setBusy(true);
    try {
      const format = text.trimStart().startsWith("[") ? "json" : "csv";
      const got = await post<{ id?: string; report: Report }>("/v1/imports", { format, source, data: text });
      setReport(got.id ? null : got.report);
      if (got.id) {
        setText("");
        setSource("");
        tell("No faults. The import waits for two signatures.");
        kept();
      } else {
        tell(`${got.report.faults.length + got.report.more_faults} faults. Nothing is kept.`, true);
        out.current?.focus();
      }
    } finally {
      setBusy(false);
    }
  });
  const choose = (e: Event) => attempt(async () => {
    const file = (e.currentTarget as HTMLInputElement).files?.[0];
    if (!file) return;
    if (file.size > LONGEST) return tell("The file is larger than 10 MiB. Split it.", true);
    setText(await file.text());
    if (!source) setSource(`${file.name} of ${new Date(file.lastModified).toISOString().slice(0, 10)}`);
  });
  const why = busy ? "It is being read." : !text ? "Choose a file or paste its text first." : !source ? "Say where it comes from first." : undefined;
  return (
    <Panel title="New import">
      <p>CSV or JSON with a column <code>kind</code>, the fields of the kind, and mobile, landline, email, verified_at, source, pin, totp, bound_at, payees. Dates that a file carries count in the first import only.</p>
      <div class="form">
        <div><label for="i-source">Where it comes from</label><input id="i-source" value={source} maxLength={140} autocomplete="off" placeholder="CRM export of 2026-11-20" onInput={(e) => setSource(e.currentTarget.value)} /></div>
        <div><label for="i-file">File</label><input id="i-file" type="file" accept=".csv,.json,text/csv,application/json" onChange={choose} /></div>
      </div>
      <div><label for="i-text">Its text</label><textarea id="i-text" class="paste" rows={8} spellcheck={false} autocomplete="off" value={text} onInput={(e) => setText(e.currentTarget.value)} /></div>
      <div class="go"><Button main why={why} act={run}>Try it</Button></div>
      <div ref={out} tabIndex={-1} class="found">
        {report && <>
          <p class="alert">{report.rows} rows read, {report.faults.length + report.more_faults} faults. Nothing is kept; mend the file and try again.</p>
          <Lines list={report.faults} title="Faults" more={report.more_faults} />
          <Lines list={report.notes} title="Worth a look" />
        </>}
      </div>
    </Panel>
  );
}

// Lines says where in the file to look, and what to change.
function Lines({ list, title, more = 0 }: { list: Fault[]; title: string; more?: number }) {
  if (!list.length) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul class="faults">
        {list.map((f) => <li><span class="where">{f.line ? `Line ${f.line}` : "File"}{f.column && `, ${f.column}`}</span> <span>{f.says}</span></li>)}
        {more > 0 && <li><span class="where">Further</span> <span>{more} faults are not listed.</span></li>}
      </ul>
    </div>
  );
}

const count = (n: number, one: string) => `${n} ${one}${n === 1 ? "" : "s"}`;

// Summary says in words what will be on file.
function Summary({ r }: { r: Report }) {
  const list = [
    ...Object.entries(r.subjects).map(([k, n]) => count(n, k)),
    ...Object.entries(r.contact_points).map(([k, n]) => count(n, k === "email" ? "e-mail" : `${k} number`)),
    r.pins && count(r.pins, "PIN"), r.totps && count(r.totps, "authenticator app"), r.payees && count(r.payees, "known payee"), r.mandates && count(r.mandates, "mandate"),
  ].filter(Boolean);
  return (
    <p>
      {list.join(", ")}. {r.made > 0 && `${count(r.made, "first secret")} will be shown once, to whoever signs last. `}
      {r.oldest && `Dates go back to ${r.oldest.slice(0, 10)}. `}
      {r.undated > 0 && `Without a date: ${r.undated}; their waiting time starts now.`}
    </p>
  );
}

// Result shows what was made, this once.
function Result({ secrets, done }: { secrets: Secret[]; done: () => void }) {
  const heading = useRef<HTMLDivElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <Panel title="On file">
      <div ref={heading} tabIndex={-1} class="found">
        {secrets.length === 0 ? <p>Everything is on file.</p> : <p class="outcome warn">This is shown once. Give each secret to its person, by a way you trust, and to nobody else.</p>}
      </div>
      {secrets.length > 0 && <ul class="rows">{secrets.map((s) => <li><div><strong><bdi>{s.subject}</bdi></strong><p>{s.pin ? <>First PIN <code>{s.pin}</code></> : <>Authenticator app <code>{s.uri}</code></>}</p></div></li>)}</ul>}
      <div class="go"><Button act={done}>{secrets.length ? "All handed over" : "Done"}</Button></div>
    </Panel>
  );
}
