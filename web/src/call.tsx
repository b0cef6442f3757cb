// One live call: who claims to be calling, what is proved, what can be done.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { ActionPanel } from "./action";
import { Report } from "./floor";
import { now } from "./live";
import { attempt, Button, Panel, Pill, Stay, tell, TriPill } from "./parts";
import { age, asking, attestSays, clock, factName, lasts, outcomeSays, over, sentence, sourceSays, stateName, wordy } from "./words";
import type { Call, Me, OnFile, Release } from "./types";

const path = (call: Call, verb: string) => `/v1/traversals/${call.traversal}/${verb}`;

// current is the action the page works on: the newest that is not over.
export const current = (call: Call): Release | undefined => {
  const all = call.releases ?? [];
  return all.findLast((r) => !over(r.state)) ?? all.at(-1);
};

const NOTHING: OnFile = { contact_points: [], authenticators: [] };

export function CallView({ call, me }: { call: Call; me: Me }) {
  const mine = call.owner === me.id;
  const [file, setFile] = useState(NOTHING);
  const state = current(call)?.state; // what is on file may have changed with it
  useEffect(() => {
    if (call.subject) get<OnFile>(`/v1/contact-points?subject=${call.subject}`).then(setFile, () => setFile(NOTHING));
    else setFile(NOTHING);
  }, [call.subject, state]);
  return (
    <div class="call">
      <div class="left col">
        <Caller call={call} mine={mine} file={file} />
        <ActionPanel key={call.traversal} call={call} me={me} mine={mine} release={current(call)} />
        <Timeline call={call} />
        <Leave call={call} mine={mine} me={me} />
      </div>
      <div class="right col">
        {call.say_now && <Panel at="o-say" title="Say this now"><p class="say">“{call.say_now}”</p></Panel>}
        <EvidenceList call={call} file={file} />
        <Why call={call} />
      </div>
    </div>
  );
}

const SUPERVISED: Record<string, string> = { listen: "A supervisor listens.", whisper: "A supervisor speaks to you; the caller does not hear it.", barge: "A supervisor is in the call." };

function Caller({ call, mine, file }: { call: Call; mine: boolean; file: OnFile }) {
  const good = (call.evidence ?? []).filter((e) => e.good === "yes").map((e) => e.fact);
  const strong = ["passkey", "callback", "totp", "otp", "proofed"].filter((f) => good.includes(f));
  return (
    <Panel at="o-caller" title={`${stateName(call.state)} · ${lasts(now.value - Date.parse(call.began))}`} live={call.state !== "ended"}
      side={<span class="pills">
        <Pill how={call.attest === "A" ? "ok" : call.stir === "no" ? "bad" : "warn"}>{call.attest ? `Attestation ${call.attest}` : call.stir === "no" ? "Signature failed" : "No attestation"}</Pill>
        <Pill how={strong.length ? "ok" : "warn"}>{strong.length ? `Proved: ${factName(strong[0]!).toLowerCase()}` : good.includes("pin") ? "PIN only" : "Not verified"}</Pill>
      </span>}>
      <p class="who">Claims to be <bdi>{call.claim || "nobody we know yet"}</bdi></p>
      <p class="number"><bdi>{call.caller || "Number withheld"}</bdi>{call.caller_name && <span class="aside"> “<bdi>{call.caller_name}</bdi>”</span>}</p>
      <p class="aside">{call.stir_says || attestSays(call.attest)}</p>
      {call.supervised && <p class="aside" role="status">{SUPERVISED[call.supervised] ?? "A supervisor is with you."}</p>}
      <Meter call={call} />
      {mine && <Stay at="proofs"><Ways call={call} file={file} /></Stay>}
    </Panel>
  );
}

// The meter shows on which independent lanes something is proved.
function Meter({ call }: { call: Call }) {
  const lanes: [string, string[]][] = [["Network", ["attested", "known_number"]], ["Memory", ["pin"]], ["Handset", ["otp", "totp", "passkey", "callback"]], ["Colleague", ["approved"]]];
  return (
    <ul class="meter" aria-label="What is proved, by lane">
      {lanes.map(([name, facts]) => {
        const all = (call.evidence ?? []).filter((e) => facts.includes(e.fact));
        const how = all.some((e) => e.good === "yes") ? "ok" : all.some((e) => e.good === "no") ? "bad" : "open";
        return <li class={how}><span>{name}</span><span class="hidden">: {how === "ok" ? "proved" : how === "bad" ? "failed" : "nothing yet"}</span></li>;
      })}
    </ul>
  );
}

// Ways starts console flows. While one runs the agent's leg is parked, and the
// page says in words what the caller hears.
function Ways({ call, file }: { call: Call; file: OnFile }) {
  const release = current(call);
  if (call.state === "step_up" || call.state === "suspended") {
    return (
      <div class="running" role="status">
        <p><strong>{call.playing || "A step is running."}</strong></p>
        <p class="aside">You and the caller do not hear each other meanwhile.</p>
        {call.state === "step_up" && <Button act={() => attempt(() => post(path(call, "step-ups/cancel")))}>Stop this step</Button>}
      </div>
    );
  }
  const why = call.state !== "talking" ? "Possible while you talk to the caller."
    : !release || over(release.state) ? "Open the action first: a proof counts for one action only."
    : !asking(release.state) ? "This action asks for no more proof now." : undefined;
  const begin = (flow: string, doing: string) => attempt(async () => {
    await post(path(call, "step-ups"), { flow, release: release!.id });
    tell(doing);
  });
  const phone = phoneOf(file);
  const wanted = release?.missing ?? [];
  const main = (fact: string) => !why && wanted[0] === fact;
  return (
    <>
      <div class="ways">
        <Button why={why} main={main("passkey")} act={() => begin("step-up-passkey", "A link is on its way. The caller hears a code for it.")}>Send passkey link</Button>
        <Button why={why} main={main("callback")} act={() => begin("step-up-call-back", "The number on file will be rung.")}>Call back {phone ? phone.masked : "number on file"}</Button>
        <Button why={why} main={main("otp") || main("totp") || main("pin")} act={() => begin("step-up-code", "The caller is asked for a code.")}>Send code</Button>
        <Button why={why} main={main("approved")} act={() => begin("step-up-colleague", "A colleague is asked.")}>Ask a colleague</Button>
      </div>
      {why && <p class="aside">{why}</p>}
      {phone && <p class="aside">The number on file {phone.masked} is {lasts(now.value - Date.parse(phone.since))} old.</p>}
      {call.outcome && <p class={`outcome ${call.outcome === "ok" ? "ok" : "warn"}`} role="status">Last step: {outcomeSays(call.outcome)}</p>}
    </>
  );
}

const phoneOf = (file: OnFile) => file.contact_points.find((p) => (p.type === "mobile" || p.type === "landline") && p.status === "active");

// rests says how old what a fact rests on is: the gate counts nothing that is
// too young.
function rests(fact: string, file: OnFile): string {
  const old = (since: string) => lasts(now.value - Date.parse(since));
  const phone = phoneOf(file);
  if (["otp", "callback", "known_number", "confirmed"].includes(fact)) return phone ? `Number ${phone.masked}, ${old(phone.since)} on file` : "";
  const ways = file.authenticators.filter((a) => a.type === fact && a.status !== "removed");
  const one = ways.find((a) => a.status === "active") ?? ways[0];
  return one ? (one.status === "active" ? `Set up ${old(one.since)} ago` : `Does not count: ${wordy(one.status)}`) : "";
}

const Age = ({ text }: { text: string }) => (text ? <p class="aside age">{text}</p> : null);

function EvidenceList({ call, file }: { call: Call; file: OnFile }) {
  const have = call.evidence ?? [];
  const open = (current(call)?.missing ?? []).filter((f) => !have.some((e) => e.fact === f && e.good === "yes"));
  return (
    <Panel at="o-evidence" title="Evidence">
      {have.length + open.length === 0 && <p class="aside">Nothing is proved yet.</p>}
      <ul class="rows">
        {have.map((e) => (
          <li>
            <div><strong>{factName(e.fact)}</strong><p class="aside">{[sentence(e.says), sourceSays(e.source)].filter(Boolean).join(" · ")}</p><Age text={rests(e.fact, file)} /></div>
            <div class="end"><TriPill good={e.good} /><span class="aside">{age(e.at, now.value)}</span></div>
          </li>
        ))}
        {open.map((f) => <li><div><strong>{factName(f)}</strong><p class="aside">Asked for by this action.</p><Age text={rests(f, file)} /></div><div class="end"><TriPill good="unknown" /></div></li>)}
      </ul>
    </Panel>
  );
}

// Why is what staff should look at: nothing in it is proof of anything.
function Why({ call }: { call: Call }) {
  const release = current(call);
  const odd = [...(release?.flags ?? []), ...(release?.risks ?? [])];
  if (!call.alert && !odd.length) return null;
  return (
    <Panel at="o-why" title="What looks odd">
      {call.alert && <p class="alert" role="alert">{call.alert}</p>}
      {odd.length > 0 && <ul class="odd">{odd.map((says) => <li>{sentence(says)}</li>)}</ul>}
    </Panel>
  );
}

// Timeline shows decisions; the steps between them on demand.
function Timeline({ call }: { call: Call }) {
  const [all, setAll] = useState(false);
  const moments = call.timeline ?? [];
  const minor = moments.filter((m) => m.minor).length;
  return (
    <Panel at="o-time" title="Timeline" live side={minor > 0 && <button type="button" class="quiet more" aria-pressed={all} onClick={() => setAll(!all)}>{all ? "Decisions only" : `Show ${minor} more`}</button>}>
      <ol class="timeline" tabIndex={0} aria-label="Timeline, newest last">
        {moments.filter((m) => all || !m.minor).map((m) => <li class={m.bad ? "bad" : m.minor ? "minor" : ""}><time dateTime={m.at}>{clock(m.at)}</time><span>{sentence(wordy(m.text))}</span></li>)}
      </ol>
    </Panel>
  );
}

// Leave is the way out of a call: to a colleague, to risk, or by hanging up.
function Leave({ call, mine, me }: { call: Call; mine: boolean; me: Me }) {
  const [open, setOpen] = useState<"" | "over" | "report">("");
  const [people, setPeople] = useState<{ id: string; name: string }[]>([]);
  const [to, setTo] = useState("");
  useEffect(() => { if (open === "over") void attempt(async () => setPeople((await get<{ colleagues: typeof people }>("/v1/colleagues")).colleagues)); }, [open]);
  if (!mine && !me.roles.includes("supervisor")) return null;
  const toggle = (what: "over" | "report") => setOpen(open === what ? "" : what);
  return (
    <section class="leave o-leave" aria-label="Leave or report the call">
      <div class="ways">
        {mine ? <Button act={() => toggle("over")}>Hand over</Button>
          : <Button act={() => attempt(async () => { await post(path(call, "hand-over"), { to: me.id }); tell("The call is yours now."); })}>Take over</Button>}
        <Button act={() => toggle("report")}>Report this call</Button>
        {mine && <Button stop act={() => attempt(() => post(path(call, "hang-up")))}>Hang up</Button>}
        {mine && <Button quiet act={() => pressure(call)}>I am under pressure</Button>}
      </div>
      {open === "over" && (
        <form class="inline" onSubmit={(e) => { e.preventDefault(); void attempt(async () => { await post(path(call, "hand-over"), { to }); setOpen(""); tell("A colleague with a phone is rung now: the call is theirs, with everything proved, when they answer. Without one it is theirs at once."); }); }}>
          <label for="to">Colleague</label>
          <select id="to" value={to} onChange={(e) => setTo(e.currentTarget.value)} required>
            <option value="">Choose …</option>
            {people.map((p) => <option value={p.id}>{p.name}</option>)}
          </select>
          <button type="submit">Hand over now</button>
        </form>
      )}
      {open === "report" && <Report traversal={call.traversal} done={() => setOpen("")} />}
    </section>
  );
}

// pressure changes nothing that somebody looking over a shoulder could see.
export const pressure = (call: Call) => { post(path(call, "pressure")).catch(() => {}); };
