// From nothing to a first verified call. The list is read from what is there:
// what was done elsewhere counts, and nothing has to be ticked off.

import { useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { get, post } from "./api";
import { calls, floor, phone } from "./live";
import { attempt, Button, Pill, tell } from "./parts";
import { NotDone, use } from "./passkey";
import { factName, stateName } from "./words";
import type { Me } from "./types";

interface Person { id: string; name: string; email: string; roles: string[]; passkey: boolean; waiting?: object }
interface Line { name: string; number: string }
interface Start { steps: { step: string; done: boolean }[]; done: boolean; invited: Person[]; unqueued: string[]; lines: Line[]; no_trial?: string }
interface Trial { version: number; state: "idle" | "calling" | "talking" | "over"; said: string[]; why?: string }

const all = signal<Start | null>(null);
const load = () => get<Start>("/v1/start").then((a) => { all.value = a; });

const TITLE: Record<string, string> = {
  owner: "Say who you are", second: "Add a second person", customer: "Put a customer on file", ready: "Be ready for calls", call: "Take a first call", verified: "Let the caller prove something",
};

export function StartPage({ me }: { me: Me }) {
  useEffect(() => {
    // What others do meanwhile shows when one comes back to this page.
    const again = () => { if (!document.hidden) void load().catch(() => {}); };
    addEventListener("visibilitychange", again);
    addEventListener("focus", again);
    return () => { removeEventListener("visibilitychange", again); removeEventListener("focus", again); };
  }, []);
  // A call that begins, changes or ends may be a step; so is to be ready, which this page's own stream tells.
  useEffect(() => { void attempt(load); }, [calls.value, phone.value?.state, floor.value?.state]);
  const a = all.value;
  if (!a) return <main><h1>First steps</h1></main>;
  const next = a.steps.find((s) => !s.done)?.step;
  const left = a.steps.filter((s) => !s.done).length;
  return (
    <main class="start">
      <h1>First steps</h1>
      <p class="aside" role="status">{left === 0 ? "Everything is done. This page leaves the navigation; what is configured stands under Admin." : `${a.steps.length - left} of ${a.steps.length} done. This list stays until a caller has proved something.`}</p>
      <ol class="steps">
        {a.steps.map((s, i) => (
          <li class={s.done ? "done" : s.step === next ? "next" : ""} aria-current={s.step === next ? "step" : undefined}>
            <span class="n" aria-hidden="true">{s.done ? "✓" : i + 1}</span>
            <div>
              <h2>{TITLE[s.step]}{s.done && <span class="hidden">: done</span>}</h2>
              <Body step={s.step} done={s.done} next={s.step === next} a={a} me={me} />
            </div>
          </li>
        ))}
      </ol>
    </main>
  );
}

function Body({ step, done, next, a, me }: { step: string; done: boolean; next: boolean; a: Start; me: Me }) {
  switch (step) {
    case "owner": return done ? <p class="aside">You have a passkey. There are no passwords here.</p> : <Owner me={me} />;
    case "second": return <Second a={a} done={done} next={next} me={me} />;
    case "customer": return done ? <p class="aside">Subjects are on file. More come by <a href="/import">Import</a>.</p> : <Customer next={next} />;
    case "ready": return <Ready a={a} done={done} me={me} />;
    case "call": return <Call a={a} done={done} next={next} />;
    default: return <Verified done={done} next={next} a={a} />;
  }
}

// sign proposes a person and signs it: until the first customer is on file, the
// first two persons need nobody else.
async function sign(p: Partial<Person> & { roles: string[] }) {
  const { id } = await post<{ id: string }>("/v1/people/drafts", { ...(p.id ? { id: p.id } : {}), name: p.name, email: p.email, roles: p.roles });
  try {
    const begun = await post<any>(`/v1/people/drafts/${id}/begin`);
    const { done } = await post<{ done: boolean }>(`/v1/people/drafts/${id}/finish`, { ceremony: begun.ceremony, response: await use(begun.options) });
    if (!done) tell("Signed. A second person has to sign as well, on the page People.");
    return done ? id : "";
  } catch (e) {
    if (!(e instanceof NotDone)) throw e;
    tell("No passkey was used. Nothing is changed.");
    return "";
  }
}

function Owner({ me }: { me: Me }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const go = () => attempt(async () => {
    if (!(await sign({ id: me.id, name, email, roles: me.roles }))) return;
    location.reload(); // the name stands in the header too
  });
  return (
    <form class="form" onSubmit={(e) => { e.preventDefault(); void go(); }}>
      <p>Your passkey works. Colleagues and the audit record need your name.</p>
      <div><label for="s-name">Your name</label><input id="s-name" value={name} required maxLength={80} autocomplete="name" onInput={(e) => setName(e.currentTarget.value)} /></div>
      <div><label for="s-email">Your e-mail address</label><input id="s-email" type="email" value={email} required autocomplete="email" onInput={(e) => setEmail(e.currentTarget.value)} /></div>
      <div class="go"><button type="submit" class="main">Sign with your passkey</button></div>
    </form>
  );
}

const ROLES: [string, string][] = [["agent", "takes calls"], ["risk", "signs imports and looser rules, lifts holds"], ["admin", "keeps people and accounts"], ["ops", "edits flows"], ["supervisor", "watches calls"], ["auditor", "reads records"]];

function Second({ a, done, next, me }: { a: Start; done: boolean; next: boolean; me: Me }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [roles, setRoles] = useState(["agent", "risk"]);
  if (done) return <p class="aside">Two persons have passkeys. From the first customer on, it takes two to add a third.</p>;
  const add = () => attempt(async () => {
    await sign({ name, email, roles });
    await load();
  });
  const waits = a.invited.filter((p) => p.id !== me.id);
  return (
    <>
      <p>One person alone may stop things, never let them through. The second signs what you sign.</p>
      {waits.map((p) => <>
        <div class="line"><strong><bdi>{p.name}</bdi></strong> <span class="aside">{p.roles.join(", ")}</span> <Pill how="warn">{p.waiting ? "Passkey waits" : "No passkey yet"}</Pill></div>
        {p.waiting
          ? <p>Their passkey opens nothing until somebody other than who invited them has confirmed it under <a href="/people">People</a>.</p>
          : <div class="running"><p>A link that you made, you could use yourself. So the link of the second person comes from the machine that ringfence runs on. Let it be made there, and opened on their own device within 15 minutes:</p><p><code>ringfence user invite --email {p.email}</code></p></div>}
      </>)}
      {waits.length === 0 && next && (
        <form class="form" onSubmit={(e) => { e.preventDefault(); void add(); }}>
          <div><label for="s2-name">Their name</label><input id="s2-name" value={name} required maxLength={80} autocomplete="off" onInput={(e) => setName(e.currentTarget.value)} /></div>
          <div><label for="s2-email">Their e-mail address</label><input id="s2-email" type="email" value={email} required autocomplete="off" onInput={(e) => setEmail(e.currentTarget.value)} /></div>
          <fieldset><legend>What they do</legend>{ROLES.map(([r, says]) => <label class="check"><input type="checkbox" checked={roles.includes(r)} onChange={(e) => setRoles(e.currentTarget.checked ? [...roles, r] : roles.filter((x) => x !== r))} /> {r}: {says}</label>)}</fieldset>
          <div class="go"><button type="submit" class="main">Add with your passkey</button></div>
        </form>
      )}
    </>
  );
}

// A customer whom nobody is; the number is one that is never given out.
const SAMPLE = "kind,account,first_name,mobile,pin\ncustomer,10002000,Sam,+447700900123,random\n";

function Customer({ next }: { next: boolean }) {
  const [kept, setKept] = useState(false);
  useEffect(() => { void attempt(async () => setKept((await get<{ imports: unknown[] }>("/v1/imports")).imports.length > 0)); }, []);
  if (!next) return <p class="aside">From a file of yours, or a made-up one. Two persons sign it.</p>;
  if (kept) return <p>An import waits. You and the second person sign it on the page <a href="/import">Import</a>. Whoever signs last is shown the first PIN, once.</p>;
  return (
    <>
      <p>Two persons sign what comes on file. A made-up customer is enough to try: number 10002000, with a first PIN.</p>
      <div class="go">
        <Button main act={() => attempt(async () => {
          const got = await post<{ id?: string; report: { faults: { says: string }[] } }>("/v1/imports", { format: "csv", source: "first steps: a made-up customer", data: SAMPLE });
          if (got.id) setKept(true);
          else tell(got.report.faults[0]?.says ?? "Your policy knows no such customer. Use a file of your own.", true);
        })}>Make one up</Button>
        <a href="/import">Use a file of your own</a>
      </div>
    </>
  );
}

function Ready({ a, done, me }: { a: Start; done: boolean; me: Me }) {
  if (done) return <p class="aside">A call can reach an agent.</p>;
  return (
    <>
      {me.roles.includes("agent")
        ? <p>Press <strong>Turn phone on</strong> above: calls ring in this browser, on this page or on the <a href="/console">console</a>. A desk phone works too: its SIP address stands under <a href="/people">People</a>.</p>
        : <p>You are no agent. Let an agent sign in, open the console and turn their phone on, or give them a desk phone under <a href="/people">People</a>.</p>}
      {a.unqueued.length > 0 && <p class="standing">No queue names <bdi>{a.unqueued.join(", ")}</bdi>. Add their e-mail address, or <code>"*"</code> for every agent, under <code>queues:</code> in <code>ringfence.yaml</code> and start ringfence again.</p>}
    </>
  );
}

function Call({ a, done, next }: { a: Start; done: boolean; next: boolean }) {
  if (done) return <p class="aside">A call came in.</p>;
  if (!next) return <p class="aside">With the built-in telephone, or through your carrier.</p>;
  return (
    <>
      <p>Call with the built-in telephone below: it is a caller on this machine. To be called from outside, add your carrier under <code>sip: trunks:</code> in <code>ringfence.yaml</code>, check with <code>ringfence config check</code> and start again; <a href="/admin">Admin</a> shows whether it answers.</p>
      <Telephone a={a} />
    </>
  );
}

function Verified({ done, next, a }: { done: boolean; next: boolean; a: Start }) {
  if (done) return <p class="aside">A caller was verified. The audit record has every step of it.</p>;
  if (!next) return <p class="aside">With a PIN first; then with a passkey link or a call-back to the number on file.</p>;
  return (
    <>
      <p>Call again, key customer number 10002000, then the first PIN. Key 0 to be put through. What is proved shows here as it happens.</p>
      <Telephone a={a} />
      <Seen />
    </>
  );
}

// Seen is what the console shows of live calls, in one line each.
function Seen() {
  const list = [...calls.value.values()];
  if (!list.length) return null;
  return (
    <ul class="rows" aria-label="Live calls">
      {list.map((c) => (
        <li>
          <div><strong>Claims to be <bdi>{c.claim || "nobody we know yet"}</bdi></strong><p class="aside">{stateName(c.state)} · {c.line}</p></div>
          <div class="end"><span class="pills">{(c.evidence ?? []).filter((e) => e.good === "yes").map((e) => <Pill how="ok">{factName(e.fact)}</Pill>)}</span></div>
        </li>
      ))}
    </ul>
  );
}

const trial = signal<Trial | null>(null);
let watching = false;

// watch asks how the call stands; each answer waits for a change.
async function watch() {
  if (watching) return;
  watching = true;
  try {
    for (let on = true; on;) {
      trial.value = await get<Trial>(`/v1/start/call?seen=${trial.value?.version ?? -1}`);
      on = trial.value.state === "calling" || trial.value.state === "talking";
    }
    await load();
  } finally {
    watching = false;
  }
}

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

// Telephone is the caller's end: what the caller hears, and keys.
function Telephone({ a }: { a: Start }) {
  const [number, setNumber] = useState("");
  const said = useRef<HTMLOListElement>(null);
  useEffect(() => { if (a.lines.length) void attempt(watch); }, []);
  useEffect(() => { said.current?.lastElementChild?.scrollIntoView({ block: "nearest" }); }, [trial.value?.version]);
  if (a.no_trial) return <p class="standing">{a.no_trial}</p>;
  const t = trial.value, on = t?.state === "calling" || t?.state === "talking";
  const to = number || a.lines[0]!.number;
  const key = (keys: string) => attempt(() => post("/v1/start/call/keys", { keys }));
  return (
    <section class="telephone" aria-label="Built-in telephone">
      <header><h3>Built-in telephone</h3><Pill how={t?.state === "talking" ? "ok" : "plain"}>{t?.state === "talking" ? "On the call" : t?.state === "calling" ? "Calling" : t?.state === "over" ? "Call over" : "Idle"}</Pill></header>
      {t?.why && <p class="standing">{t.why}</p>}
      {!on && <div class="go">
        {a.lines.length > 1 && <div><label for="s-line">Line</label><select id="s-line" value={to} onChange={(e) => setNumber(e.currentTarget.value)}>{a.lines.map((l) => <option value={l.number}>{l.name} +{l.number}</option>)}</select></div>}
        <Button main act={() => attempt(async () => { await post("/v1/start/call", { number: to }); await watch(); })}>Call {a.lines.length > 1 ? "this line" : a.lines[0]!.name}</Button>
      </div>}
      {(t?.said.length ?? 0) > 0 && <><p class="aside" id="hears">The caller hears</p><ol class="heard" ref={said} tabIndex={0} aria-labelledby="hears">{t!.said.map((s) => <li>{s}</li>)}</ol></>}
      {t?.state === "talking" && (
        <>
          <div class="keypad" role="group" aria-label="Keys">{KEYS.map((k) => <button type="button" onClick={() => key(k)}>{k}</button>)}</div>
          <form class="inline" onSubmit={(e) => { e.preventDefault(); const f = e.currentTarget; const i = f.elements.namedItem("keys") as HTMLInputElement; if (i.value) void key(i.value); f.reset(); }}>
            <label for="s-keys">Key several, as the caller</label>
            <input id="s-keys" name="keys" inputMode="numeric" pattern="[0-9*#]{1,32}" maxLength={32} autocomplete="off" />
            <button type="submit">Key them</button>
          </form>
        </>
      )}
      {on && <div class="go"><Button stop act={() => attempt(() => post("/v1/start/call/hang-up"))}>Hang up</Button></div>}
    </section>
  );
}

