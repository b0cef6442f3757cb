// People and companies whose accounts are acted on: finding one, what is on
// file, masked and with ages, and asking for a change. Nothing is changed here:
// each change is an action that waits for its proofs, and stopping takes one
// person.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { get, post, Refused } from "./api";
import { now } from "./live";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { age, bare, canonical, fieldName, lasts, stateSays } from "./words";
import type { Me } from "./types";

interface Found { id: string; kind: string; status: string; language?: string; by: Record<string, string> }
interface Change { action: string; says: string; class: string; does: string[]; caller_only: boolean; fields: { name: string; type: string }[] }
interface Point { id: string; type: string; masked: string; since: string; verified?: string; removed?: string; source?: string; status: string }
interface Authenticator { id: string; type: string; lane?: string; synced?: boolean; codes_left?: number; since: string; used?: string; failures: number; check?: string; status: string }
interface Mandate { id: string; person: string; types: string[]; limit: number; since: string; until: string; source: string; status: string }
interface Payee { masked: string; since: string; source: string; known: boolean; disputed?: boolean }
interface Open { id: string; says: string; class: string; state: string; hold_until?: string }
interface File extends Found { since: string; contact_points: Point[]; authenticators: Authenticator[]; mandates: Mandate[]; payees: Payee[]; open: Open[]; changes: Change[] }

const query = new URLSearchParams(location.search);
const STATUS: Record<string, ["ok" | "warn" | "bad" | "plain", string]> = {
  active: ["ok", "On file"], suspended: ["bad", "Stopped"], pending: ["warn", "Waits"], removed: ["plain", "Removed"], disabled: ["bad", "Switched off"],
};
const Status = ({ of }: { of: string }) => <Pill how={(STATUS[of] ?? ["plain"])[0]}>{STATUS[of]?.[1] ?? of}</Pill>;
const TYPE: Record<string, string> = { mobile: "Mobile", landline: "Landline", email: "E-mail", post: "Post", pin: "Telephone PIN", totp: "Authenticator app", passkey: "Passkey", recovery: "Recovery codes" };
const typeOf = (t: string) => TYPE[t] ?? fieldName(t);
const day = (at: string) => new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
const since = (at: string) => <time dateTime={at} title={day(at)}>{age(at, now.value)}</time>;
const By = ({ of }: { of: Record<string, string> }) => <>{Object.entries(of).map(([k, v]) => `${k.replaceAll("_", " ")} ${v}`).join(", ")}</>;

export const SubjectsPage = ({ me }: { me: Me }) => (query.get("id") ? <FilePage id={query.get("id")!} me={me} /> : <ListPage me={me} />);

function ListPage({ me }: { me: Me }) {
  const [pages, setPages] = useState<{ subjects: Found[]; next?: string }[] | null>(null);
  const text = query.get("text")?.trim() ?? "";
  const kind = query.get("kind") ?? "";
  const load = (before?: string) => attempt(async () => {
    const q = new URLSearchParams();
    if (text) q.set("text", text); else if (kind) q.set("kind", kind);
    if (before) q.set("before", before);
    const page = await get<{ subjects: Found[]; next?: string }>(`/v1/subjects?${q}`);
    setPages((old) => (before && old ? [...old, page] : [page]));
  });
  useEffect(() => { void load(); }, []);
  const all = pages?.flatMap((p) => p.subjects) ?? [];
  const next = pages?.at(-1)?.next;
  return (
    <main class="narrow">
      <div class="title"><h1>Subjects</h1>{me.pages.includes("import") && <a class="button" href="/import">Import</a>}</div>
      <form class="find" method="get" role="search">
        <label for="s-text">A whole telephone number, customer number, e-mail address or name</label>
        <input id="s-text" name="text" maxLength={80} defaultValue={text} autocomplete="off" spellcheck={false} />
        <button type="submit" class="main">Search</button>
        {text && <a href="/subjects">Everybody</a>}
      </form>
      {pages && (
        <Panel title={text ? (all.length ? `${all.length}${next ? "+" : ""} found` : "Nobody found") : "Newest first"}>
          {all.length > 0 && <ul class="rows">{all.map((s) => <li key={s.id}><div><a href={`/subjects?id=${s.id}`}>{fieldName(s.kind)}, <By of={s.by} /></a><p class="aside">{s.id}</p></div><div class="end"><Status of={s.status} /></div></li>)}</ul>}
          {all.length === 0 && <p class="aside">{text ? "Numbers are found whole only, in any spelling; names by whole words. Check the digits." : <>Nobody is on file yet. {me.pages.includes("import") && <>Begin with an <a href="/import">import</a>.</>}</>}</p>}
          {next && <div class="go"><Button act={() => load(next)}>Older ones</Button></div>}
        </Panel>
      )}
    </main>
  );
}

interface Ask { change: Change; target?: string; what?: string }

function FilePage({ id, me }: { id: string; me: Me }) {
  const [f, setF] = useState<File | null>(null);
  const [none, setNone] = useState(false);
  const [ask, setAsk] = useState<Ask | null>(null);
  const [stop, setStop] = useState<{ id: string; what: string } | null>(null);
  const [invite, setInvite] = useState(false);
  const may = me.roles.some((r) => r === "supervisor" || r === "risk" || r === "admin");
  const load = () => attempt(async () => {
    try { setF(await get<File>(`/v1/subjects/${encodeURIComponent(id)}`)); } catch (e) { if (!(e instanceof Refused) || e.kind !== "not-found") throw e; setNone(true); }
  });
  useEffect(() => { void load(); }, []);
  if (none) return <main class="narrow"><h1>Subject</h1><Panel title="Not here"><p class="aside">There is no such subject. <a href="/subjects">Search again</a></p></Panel></main>;
  if (!f) return <main class="narrow"><h1>Subject</h1></main>;
  const does = (effect: string) => (may ? f.changes.filter((c) => c.does.includes(effect) && !c.caller_only) : []);
  // For offers what may be asked for about one thing on file.
  const For = ({ it, what, effects }: { it: { id: string; status: string }; what: string; effects: Record<string, [string, string]> }) => {
    const [effect, word] = effects[it.status] ?? ["", ""];
    const changes = effect ? does(effect) : [];
    return <>{changes.map((c) => <button type="button" class="quiet" aria-label={`${word} ${what}`} onClick={() => { setStop(null); setAsk({ change: c, target: it.id, what }); }}>{changes.length > 1 ? fieldName(c.says) : word}…</button>)}
      {may && it.status === "active" && <button type="button" class="quiet" aria-label={`Stop ${what} at once`} onClick={() => { setAsk(null); setStop({ id: it.id, what }); }}>Stop…</button>}</>;
  };
  const fresh = f.changes.filter((c) => !c.does.some((e) => /^(removes|resumes|ends)/.test(e)) && !(c.does.includes("adds_authenticator") && c.fields.some((x) => x.name === "fingerprint")));
  return (
    <main>
      <div class="title">
        <h1>{fieldName(f.kind)} <span class="who-by"><By of={f.by} /></span></h1>
        <div class="filters"><a class="button" href="/subjects">Search</a>{me.pages.includes("calls") && <a class="button" href={`/calls?text=${f.id}`}>Calls</a>}{me.pages.includes("audit") && <a class="button" href={`/audit?subject=${f.id}`}>History</a>}</div>
      </div>
      <p class="aside"><code>{f.id}</code> · on file for {lasts(now.value - Date.parse(f.since))}{f.language && ` · ${f.language}`} · <Status of={f.status} /></p>
      {stop && <StopForm subject={f.id} it={stop} done={(again) => { setStop(null); if (again) void load(); }} />}
      {ask && <AskForm key={`${ask.change.action} ${ask.target}`} subject={f.id} ask={ask} currency={me.currency ?? ""} done={(again) => { setAsk(null); if (again) void load(); }} />}
      {invite && <InviteForm f={f} done={() => { setInvite(false); void load(); }} />}
      {f.open.length > 0 && <Panel title="Under way">{<ul class="rows">{f.open.map((o) => <Way key={o.id} o={o} again={load} />)}</ul>}</Panel>}
      <div class="two">
        <Panel title="Numbers and addresses">
          <List none="None: nobody can be called back." of={f.contact_points} row={(c) => <Thing name={`${typeOf(c.type)} ${c.masked}`} status={c.status} says={<>since {since(c.since)}{c.verified && <> · reached {since(c.verified)}</>}{c.removed && <> · removed {since(c.removed)}</>}{c.source && <> · {bare(c.source)}</>}</>}>
            <For it={c} what={`${typeOf(c.type).toLowerCase()} ${c.masked}`} effects={{ active: ["removes_contact", "Take off"], suspended: ["resumes", "Bring back"] }} /></Thing>} />
        </Panel>
        <Panel title="Authenticators" side={may && <span class="pills"><Button quiet act={() => { setAsk(null); setStop(null); setInvite(true); }}>Invite to make a passkey…</Button></span>}>
          <List none="None. The first one takes a call-back to an old number and a colleague." of={f.authenticators} row={(a) => <Thing name={typeOf(a.type)} status={a.status} says={<>since {since(a.since)}{a.used ? <> · used {since(a.used)}</> : " · not used lately"}{a.synced && " · synced to other devices"}{a.codes_left !== undefined && ` · ${a.codes_left} left`}{a.failures > 0 && ` · ${a.failures} failures`}{a.check && <> · to compare <code>{a.check}</code></>}</>}>
            <For it={a} what={typeOf(a.type).toLowerCase()} effects={{ active: ["removes_authenticator", "Take off"], suspended: ["resumes", "Bring back"], pending: ["adds_authenticator", "Let it count"] }} /></Thing>} />
        </Panel>
        <Panel title="Mandates">
          <List none="Nobody else may act for them." of={f.mandates} row={(m) => <Thing name={m.types.map((t) => t.replaceAll("_", " ")).join(", ")} status={m.status} says={<>by <a href={`/subjects?id=${m.person}`}>{m.person}</a> · {m.limit ? `up to ${m.limit.toLocaleString("en-GB")} ${me.currency ?? ""}` : "no money"} · until {day(m.until)} · since {since(m.since)}</>}>
            <For it={m} what="this mandate" effects={{ active: ["ends_mandate", "End"] }} /></Thing>} />
        </Panel>
        <Panel title="Payees they have paid">
          <List none="None: every payment is a first payment." of={f.payees} row={(p) => <Thing name={p.masked} says={<>since {since(p.since)} · {bare(p.source)}</>} pill={<Pill how={p.disputed ? "bad" : p.known ? "ok" : "warn"}>{p.disputed ? "Disputed" : p.known ? "Known" : "Too new"}</Pill>} />} />
        </Panel>
      </div>
      {fresh.length > 0 && (
        <Panel title="Something new">
          <p class="aside">Each is an action of the policy: it is asked for here, proved by the person themselves, agreed to by a colleague, and takes effect after its waiting time.</p>
          <ul class="rows">{fresh.map((c) => <li><div>{fieldName(c.says)}<p class="aside">{c.class}{c.caller_only && " · only on a call: the caller keys the secret"}</p></div><div class="end">{may && !c.caller_only && <Button act={() => { setStop(null); setAsk({ change: c }); }}>Ask for it…</Button>}</div></li>)}</ul>
        </Panel>
      )}
    </main>
  );
}

function List<T>({ of, row, none }: { of: T[]; row: (one: T) => ComponentChildren; none: string }) {
  return of.length ? <ul class="rows">{of.map(row)}</ul> : <p class="aside">{none}</p>;
}

const Thing = ({ name, status, says, pill, children }: { name: string; status?: string; says: ComponentChildren; pill?: ComponentChildren; children?: ComponentChildren }) => (
  <li class={status === "removed" ? "gone" : ""}><div><strong>{name}</strong><p class="aside">{says}</p></div><div class="end">{pill ?? <Status of={status ?? ""} />}<div class="acts">{children}</div></div></li>
);

// Way says of an action under way what is still missing, in one sentence.
function Way({ o, again }: { o: Open; again: () => void }) {
  const [next, setNext] = useState("");
  const [mine, setMine] = useState(false);
  useEffect(() => { get<{ next?: string }>(`/v1/releases/${o.id}`).then((r) => { setNext(r.next ?? ""); setMine(true); }, () => {}); }, []);
  return (
    <li>
      <div>{fieldName(o.says)}<p class="aside">{o.class} · {stateSays(o.state) ?? "Waits for proof"}{o.hold_until && `, until ${day(o.hold_until)}`}</p>{next && <p>{next}</p>}</div>
      <div class="end">{mine && <button type="button" class="quiet" aria-label={`Cancel: ${o.says}`} onClick={() => attempt(async () => { await post(`/v1/releases/${o.id}/cancel`, { why: "cancelled on the page of the subject" }); tell("Cancelled."); again(); })}>Cancel</button>}</div>
    </li>
  );
}

function StopForm({ subject, it, done }: { subject: string; it: { id: string; what: string }; done: (again: boolean) => void }) {
  const [why, setWhy] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [it.id]);
  const send = (e: Event) => {
    e.preventDefault();
    if (!why.trim()) return tell("Say why first.");
    void attempt(async () => {
      await post(`/v1/subjects/${subject}/suspend`, { what: it.id, why });
      tell("Stopped. It comes back only by an action of its own.");
      done(true);
    });
  };
  return (
    <Panel title={`Stop ${it.what} at once`}>
      <p>It proves nothing from now on. Bringing it back takes the person's proof, a colleague and the waiting time.</p>
      <form class="form" onSubmit={send}>
        <div><label for="stop-why">Why</label><input id="stop-why" ref={field} value={why} maxLength={200} autocomplete="off" placeholder="Telephone was stolen" onInput={(e) => setWhy(e.currentTarget.value)} /></div>
        <div class="go"><button type="submit" class="stop">Stop it</button><Button quiet act={() => done(false)}>Leave it</Button></div>
      </form>
    </Panel>
  );
}

// InviteForm sends a link to what is on file, or shows it for somebody who is
// present. What is made on it counts for nothing before an action of its own.
function InviteForm({ f, done }: { f: File; done: () => void }) {
  const ways = f.contact_points.filter((c) => c.status === "active" && (c.type === "mobile" || c.type === "email"));
  const [contact, setContact] = useState(ways[0]?.id ?? "");
  const [what, setWhat] = useState("passkey");
  const [sent, setSent] = useState<{ code: string; sent?: string; link?: string; expires_at: string } | null>(null);
  const heading = useRef<HTMLParagraphElement>(null);
  useEffect(() => heading.current?.focus(), [sent]);
  const send = (e: Event) => {
    e.preventDefault();
    void attempt(async () => setSent(await post(`/v1/subjects/${f.id}/invite`, { what, ...(contact ? { contact } : {}) })));
  };
  return (
    <Panel title="Invite to make a passkey">
      {!sent ? (
        <>
          <p ref={heading} tabIndex={-1}>They open a link on their own device and key a code that you tell them: neither is enough alone. Nothing counts before the check digits were compared and the change was released.</p>
          <form class="form" onSubmit={send}>
            <div><label for="i-what">For</label><select id="i-what" value={what} onChange={(e) => setWhat(e.currentTarget.value)}><option value="passkey">A passkey and recovery codes</option><option value="recovery_codes">New recovery codes</option></select></div>
            <div><label for="i-contact">The link goes</label><select id="i-contact" value={contact} onChange={(e) => setContact(e.currentTarget.value)}>{ways.map((c) => <option value={c.id}>to {typeOf(c.type).toLowerCase()} {c.masked}</option>)}<option value="">on this screen: they are here with me</option></select></div>
            <div class="go"><button type="submit" class="main">Make the link</button><Button quiet act={done}>Leave it</Button></div>
          </form>
        </>
      ) : (
        <>
          <p ref={heading} tabIndex={-1}>{sent.sent ? <>The link went to <strong>{sent.sent}</strong>.</> : <>The link: <code>{sent.link}</code></>}</p>
          <p>Tell them this code: <strong class="who">{sent.code}</strong></p>
          <p class="aside">It is shown once. The link ends in {lasts(Date.parse(sent.expires_at) - now.value)}.</p>
          <div class="go"><Button act={done}>Done</Button></div>
        </>
      )}
    </Panel>
  );
}

// FILLED are the fields that the server fills in from what is on file.
const FILLED = ["contact", "authenticator", "resume", "mandate", "fingerprint", "check", "kind", "ending", "since"];
const ASKED: [string, string][] = [["letter", "by letter"], ["in_person", "in person"], ["email", "by e-mail"], ["phone", "by phone"]];

function AskForm({ subject, ask, currency, done }: { subject: string; ask: Ask; currency: string; done: (again: boolean) => void }) {
  const [by, setBy] = useState("letter");
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [next, setNext] = useState<string | null>(null);
  const heading = useRef<HTMLParagraphElement>(null);
  useEffect(() => heading.current?.focus(), [next]);
  const fields = ask.change.fields.filter((f) => !ask.target || !FILLED.includes(f.name) && !(f.name === "type" && ask.change.does.includes("adds_authenticator")));
  const send = (e: Event) => {
    e.preventDefault();
    const out: Record<string, string> = {};
    for (const f of fields) {
      const text = canonical(typed[f.name] ?? firstOf(f.type), f.type, currency);
      if (text === null) return tell(`Fill in ${fieldName(f.name).toLowerCase()}.`);
      out[f.name] = text;
    }
    void attempt(async () => {
      const r = await post<{ next?: string }>(`/v1/subjects/${subject}/changes`, { action: ask.change.action, ...(ask.target ? { target: ask.target } : {}), fields: out, asked_by: by });
      setNext(r.next ?? "It is being judged.");
    });
  };
  return (
    <Panel title={fieldName(ask.change.says)} side={<span class="pills"><Pill how="warn">{ask.change.class}</Pill></span>}>
      {next === null ? (
        <>
          <p ref={heading} tabIndex={-1}>{ask.what && <><strong>{fieldName(ask.what)}</strong>. </>}Nothing changes yet: the person proves it themselves, and every number and address on file is told.</p>
          <form class="form" onSubmit={send}>
            {fields.map((f) => <div key={f.name}><label for={`f-${f.name}`}>{fieldName(f.name)}</label><Field f={f} value={typed[f.name] ?? firstOf(f.type)} set={(v) => setTyped({ ...typed, [f.name]: v })} /></div>)}
            <div><label for="f-by">They asked for it</label><select id="f-by" value={by} onChange={(e) => setBy(e.currentTarget.value)}>{ASKED.map(([v, says]) => <option value={v}>{says}</option>)}</select></div>
            <div class="go"><button type="submit" class="main">Ask for it</button><Button quiet act={() => done(false)}>Leave it</Button></div>
          </form>
        </>
      ) : (
        <>
          <p ref={heading} tabIndex={-1}><strong>Asked for. Nothing has changed yet.</strong> {next}</p>
          <div class="go"><Button act={() => done(true)}>Done</Button></div>
        </>
      )}
    </Panel>
  );
}

const choices = (type: string) => /^one of \[(.*)\]$/.exec(type)?.[1]?.split(",").map((s) => s.trim());
const firstOf = (type: string) => choices(type)?.[0] ?? "";

function Field({ f, value, set }: { f: { name: string; type: string }; value: string; set: (v: string) => void }) {
  const list = choices(f.type);
  if (list) return <select id={`f-${f.name}`} value={value} onChange={(e) => set(e.currentTarget.value)}>{list.map((v) => <option value={v}>{typeOf(v)}</option>)}</select>;
  if (f.type === "date") return <input id={`f-${f.name}`} type="date" value={value} onInput={(e) => set(e.currentTarget.value)} />;
  return <input id={`f-${f.name}`} inputMode={f.type === "tn" ? "tel" : undefined} value={value} maxLength={120} autocomplete="off" spellcheck={false} onInput={(e) => set(e.currentTarget.value)} />;
}
