// Staff and service accounts. A change of staff is a proposal until two
// persons have signed it with their passkeys, and a passkey that was made on an
// invitation counts when another than who invited has signed for it; stopping
// somebody takes one.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { now } from "./live";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { NotDone, use } from "./passkey";
import { age } from "./words";
import type { Me } from "./types";

interface Person { id: string; name: string; email: string; roles: string[]; groups: string[]; team?: string; place?: string; status: string; since: string; passkey: boolean; waiting?: Waiting; reset?: Reset }
interface Reset { by: string; why: string; at: string; yours: boolean }
interface Waiting { since: string; invited: string[]; yours: boolean }
interface Draft { person: Person; by: string; at: string; signed: string[]; mine: boolean }
interface Client { id: string; name: string; scopes: string[]; networks: string[]; executor?: string; channel?: string; status: string }

const ROLES = ["agent", "supervisor", "ops", "risk", "auditor", "admin"];

export function PeoplePage({ me }: { me: Me }) {
  const [all, setAll] = useState<{ people: Person[]; drafts: Draft[] } | null>(null);
  const [form, setForm] = useState<Partial<Person> | null>(null);
  const [link, setLink] = useState("");
  const [resetting, setResetting] = useState<Person | null>(null);
  const load = () => attempt(async () => setAll(await get("/v1/people")));
  useEffect(() => { void load(); }, []);
  const sign = (id: string) => attempt(async () => {
    try {
      const begun = await post<any>(`/v1/people/drafts/${id}/begin`);
      const { done } = await post<{ done: boolean }>(`/v1/people/drafts/${id}/finish`, { ceremony: begun.ceremony, response: await use(begun.options) });
      tell(done ? "Signed. The change is made." : "Signed. A second person has to sign as well.");
    } catch (e) {
      if (!(e instanceof NotDone)) throw e;
      tell("No passkey was used. Nothing is signed.");
    }
    await load();
  });
  const confirm = (id: string, check: string) => attempt(async () => {
    try {
      const begun = await post<any>(`/v1/people/passkeys/${id}/begin`, { check });
      await post(`/v1/people/passkeys/${id}/finish`, { check, ceremony: begun.ceremony, response: await use(begun.options) });
      tell("Confirmed. The passkey counts.");
    } catch (e) {
      if (!(e instanceof NotDone)) throw e;
      tell("No passkey was used. Nothing is signed.");
    }
    await load();
  });
  const reset = (id: string) => attempt(async () => {
    try {
      const begun = await post<any>(`/v1/people/resets/${id}/begin`);
      const made = await post<{ link: string }>(`/v1/people/resets/${id}/finish`, { ceremony: begun.ceremony, response: await use(begun.options) });
      setLink(made.link);
      tell("Signed. Their passkeys and sessions have ended.");
    } catch (e) {
      if (!(e instanceof NotDone)) throw e;
      tell("No passkey was used. Nothing is signed.");
    }
    await load();
  });
  const propose = (p: Partial<Person>) => attempt(async () => {
    await post("/v1/people/drafts", { ...(p.id ? { id: p.id } : {}), name: p.name, email: p.email, roles: p.roles ?? [], groups: p.groups ?? [], team: p.team ?? "", place: p.place ?? "" });
    setForm(null);
    await load();
  });
  return (
    <main>
      <h1>People</h1>
      {link && <Panel title="Invitation"><p>Give this link to the person, by a way you trust. It opens once, within 15 minutes. Their page then shows six digits; a colleague other than you asks them for the digits and confirms the passkey here.</p><p><code>{link}</code></p><div class="go"><Button act={() => setLink("")}>Done</Button></div></Panel>}
      {all?.drafts.map((d) => (
        <Panel title={`Proposal by ${d.by}, ${age(d.at, now.value)}`} side={<span class="pills"><Pill how="warn">{d.signed.length} of 2 signed</Pill></span>}>
          <p><strong><bdi>{d.person.name}</bdi></strong> &lt;{d.person.email}&gt;: {d.person.roles.join(", ")}{d.person.groups.length > 0 && `; approves for ${d.person.groups.join(", ")}`}{d.person.place && `; takes calls at ${d.person.place}`}</p>
          <p class="aside">{d.signed.length ? `Signed by ${d.signed.join(" and ")}.` : "Nobody has signed yet."} Roles count 24 hours after the second signature.</p>
          <div class="go">
            <Button main why={d.mine ? "You have signed. Another person has to." : undefined} act={() => sign(d.person.id)}>Sign with a passkey</Button>
            <Button quiet act={() => attempt(async () => { await post(`/v1/people/drafts/${d.person.id}/discard`); await load(); })}>Drop</Button>
          </div>
        </Panel>
      ))}
      {all?.people.filter((p) => p.waiting && p.status === "active").map((p) => <WaitingKey key={p.id} p={p} w={p.waiting!} confirm={(check) => confirm(p.id, check)} drop={() => attempt(async () => { await post(`/v1/people/passkeys/${p.id}/discard`); await load(); })} />)}
      {all?.people.filter((p) => p.reset && p.status === "active").map((p) => (
        <Panel key={p.id} title={`Reset of ${p.name}, asked ${age(p.reset!.at, now.value)}`} side={<span class="pills"><Pill how="warn">1 of 2</Pill></span>}>
          <p><bdi>{p.reset!.by}</bdi> asks that the passkeys of <bdi>{p.name}</bdi> end: <bdi>{p.reset!.why}</bdi></p>
          <p class="aside">With the second signature their passkeys and sessions end, and you are shown a link for another passkey. It waits to be confirmed like a first one, and may approve and sign a day later.</p>
          <div class="go">
            <Button main why={p.reset!.yours ? "Another person has to sign it." : undefined} act={() => reset(p.id)}>Sign the reset</Button>
            <Button quiet act={() => attempt(async () => { await post(`/v1/people/resets/${p.id}/discard`); await load(); })}>Drop it</Button>
          </div>
        </Panel>
      ))}
      {resetting && <ResetForm p={resetting} drop={() => setResetting(null)} ask={(why) => attempt(async () => { await post(`/v1/people/${resetting.id}/reset`, { why }); setResetting(null); await load(); })} />}
      <Panel title="Staff" side={<span class="pills"><Button act={() => setForm({ roles: ["agent"] })}>Add a person</Button></span>}>
        {form && <PersonForm p={form} done={propose} />}
        <ul class="rows">
          {all?.people.map((p) => (
            <li>
              <div><strong><bdi>{p.name}</bdi></strong> <span class="aside">{p.email}</span><p class="aside">{p.roles.join(", ")}{p.groups.length > 0 && ` · ${p.groups.join(", ")}`}{p.place && ` · ${p.place}`}</p></div>
              <div class="end">
                <Pill how={p.status !== "active" ? "bad" : p.waiting || Date.parse(p.since) > now.value ? "warn" : p.passkey ? "ok" : "plain"}>{p.status !== "active" ? "Suspended" : p.waiting ? "Passkey waits" : Date.parse(p.since) > now.value ? "Waiting time" : p.passkey ? "Active" : "No passkey yet"}</Pill>
                {p.status === "active" && <div class="ways">
                  {!p.passkey && !p.waiting && <button type="button" class="quiet" aria-label={`Invite ${p.name}`} onClick={() => attempt(async () => setLink((await post<{ link: string }>(`/v1/people/${p.id}/invite`)).link))}>Invite</button>}
                  <button type="button" class="quiet" aria-label={`Change ${p.name}`} onClick={() => setForm(p)}>Change</button>
                  {p.id !== me.id && p.passkey && !p.reset && <button type="button" class="quiet" aria-label={`Reset passkey of ${p.name}`} onClick={() => setResetting(p)}>Reset passkey</button>}
                  {p.id !== me.id && <button type="button" class="quiet" aria-label={`Suspend ${p.name}`} onClick={() => attempt(async () => { await post(`/v1/people/${p.id}/suspend`); await load(); })}>Suspend</button>}
                </div>}
              </div>
            </li>
          ))}
        </ul>
      </Panel>
      {me.roles.includes("admin") && <Accounts />}
    </main>
  );
}

function WaitingKey({ p, w, confirm, drop }: { p: Person; w: Waiting; confirm: (check: string) => void; drop: () => void }) {
  const [check, setCheck] = useState("");
  const digits = check.replace(/\s/g, "");
  return (
    <Panel title={`Passkey of ${p.name}, made ${age(w.since, now.value)}`} side={<span class="pills"><Pill how="warn">Waits to be confirmed</Pill></span>}>
      <p>{w.invited.length ? <>Invited by <bdi>{w.invited.join(" and ")}</bdi>, who could have made it too.</> : "Made on a link from the machine itself."} It opens nothing yet.{" "}
        {w.yours ? "Somebody else who keeps staff has to confirm it." : <>Call <bdi>{p.name}</bdi> on a number you know, or go there, and have them read the six digits that their page showed.</>}</p>
      <form class="inline" onSubmit={(e) => { e.preventDefault(); if (!w.yours) confirm(digits); }}>
        {!w.yours && <><label for={`k-${p.id}`}>The six digits</label>
          <input id={`k-${p.id}`} value={check} required inputMode="numeric" pattern="[0-9]{3} ?[0-9]{3}" maxLength={7} autocomplete="off" onInput={(e) => setCheck(e.currentTarget.value)} />
          <button type="submit" class="main">Confirm with a passkey</button></>}
        <Button quiet act={drop}>Drop it</Button>
      </form>
    </Panel>
  );
}

function ResetForm({ p, ask, drop }: { p: Person; ask: (why: string) => void; drop: () => void }) {
  const [why, setWhy] = useState("");
  return (
    <Panel title={`Reset the passkey of ${p.name}`}>
      <p>You ask, another person signs. If it may be in the wrong hands now, suspend them: that takes one, and acts at once.</p>
      <form class="inline" onSubmit={(e) => { e.preventDefault(); ask(why); }}>
        <label for="r-why">Why</label>
        <input id="r-why" value={why} required maxLength={200} autocomplete="off" onInput={(e) => setWhy(e.currentTarget.value)} />
        <button type="submit" class="main">Ask for the reset</button>
        <Button quiet act={drop}>Not now</Button>
      </form>
    </Panel>
  );
}

function PersonForm({ p, done }: { p: Partial<Person>; done: (p: Partial<Person>) => void }) {
  const [v, setV] = useState<Partial<Person>>(p);
  const text = (name: "name" | "email" | "team" | "place", label: string, more: object = {}) => (
    <div><label for={`p-${name}`}>{label}</label><input id={`p-${name}`} value={v[name] ?? ""} autocomplete="off" {...more} onInput={(e) => setV({ ...v, [name]: e.currentTarget.value })} /></div>
  );
  return (
    <form class="form" onSubmit={(e) => { e.preventDefault(); done(v); }}>
      {text("name", "Name", { required: true })}{text("email", "E-mail", { required: true, type: "email" })}
      {text("team", "Team")}{text("place", "Takes calls at (SIP URI)", { placeholder: "sip:21@pbx.example.com" })}
      <div><label for="p-groups">Approves for (groups, by commas)</label><input id="p-groups" value={(v.groups ?? []).join(", ")} onChange={(e) => setV({ ...v, groups: e.currentTarget.value.split(",").map((g) => g.trim()).filter(Boolean) })} /></div>
      <fieldset><legend>Roles</legend>{ROLES.map((r) => <label class="check"><input type="checkbox" checked={v.roles?.includes(r)} onChange={(e) => setV({ ...v, roles: e.currentTarget.checked ? [...(v.roles ?? []), r] : (v.roles ?? []).filter((x) => x !== r) })} /> {r}</label>)}</fieldset>
      <div class="go"><button type="submit" class="main">Propose</button></div>
    </form>
  );
}

function Accounts() {
  const [all, setAll] = useState<{ clients: Client[]; scopes: string[] } | null>(null);
  const [open, setOpen] = useState(false);
  const [picked, setPicked] = useState<string[]>([]);
  const [credential, setCredential] = useState("");
  const load = () => attempt(async () => setAll(await get("/v1/clients")));
  useEffect(() => { void load(); }, []);
  const add = (e: Event) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const words = (name: string) => String(f.get(name) ?? "").trim();
    void attempt(async () => {
      const made = await post<{ credential: string }>("/v1/clients", { name: words("name"), scopes: picked, networks: words("networks").split(/[\s,]+/).filter(Boolean), executor: words("executor"), channel: words("channel"), key: words("key") });
      setCredential(made.credential);
      setOpen(false);
      await load();
    });
  };
  return (
    <Panel title="Service accounts" side={<span class="pills"><Button act={() => setOpen(!open)}>Add a service account</Button></span>}>
      {credential && <div class="running"><p>The credential is shown once. Only its hash is kept.</p><p><code>{credential}</code></p><Button act={() => setCredential("")}>I have it</Button></div>}
      {open && <form class="form" onSubmit={add} autocomplete="off">
        {[["name", "Name"], ["networks", "From networks (CIDR)"], ["executor", "Executor"], ["key", "Thumbprint of its DPoP key"], ["channel", "Customer channel: how persons log in"]].map(([n, l]) => <div><label for={`c-${n}`}>{l}</label><input id={`c-${n}`} name={n} required={n === "name"} /></div>)}
        <fieldset><legend>Scopes</legend>{all?.scopes.map((s) => <label class="check"><input type="checkbox" checked={picked.includes(s)} onChange={(e) => setPicked(e.currentTarget.checked ? [...picked, s] : picked.filter((x) => x !== s))} /> {s}</label>)}</fieldset>
        <div class="go"><button type="submit" class="main">Add</button></div>
      </form>}
      <ul class="rows">
        {all?.clients.map((c) => <li><div><strong>{c.name}</strong><p class="aside">{[c.scopes.join(", "), c.executor && `executor ${c.executor}`, c.channel, c.networks.join(", ")].filter(Boolean).join(" · ")}</p></div>
          <div class="end"><Pill how={c.status === "active" ? "ok" : "bad"}>{c.status === "active" ? "Active" : "Removed"}</Pill>{c.status === "active" && <button type="button" class="quiet" aria-label={`Remove ${c.name}`} onClick={() => attempt(async () => { await post(`/v1/clients/${c.id}/remove`); await load(); })}>Remove</button>}</div></li>)}
        {all?.clients.length === 0 && <li><p class="aside">None. An executor, an ERP or a bank’s app gets one here.</p></li>}
      </ul>
    </Panel>
  );
}
