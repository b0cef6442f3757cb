// What is held until somebody with role risk has looked: the exact action, why
// it is held, what was proved. Lifting releases nothing; denying ends it.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { alarms, asked, now } from "./live";
import { attempt, Panel, Pill, tell } from "./parts";
import { age, factName, fieldName, lasts, sentence, shown } from "./words";

interface Held {
  release: string; says: string; class: string; fields: { name: string; type: string; value: string }[]; flags: string[]; requester: string; requested_at: string;
  evidence: { fact: string; at: string }[]; risks: { says: string; odd: boolean }[]; holds: { why: string; by?: string; at: string; until?: string }[]; duress: boolean;
}

const WHY: Record<string, string> = {
  rejected: "The person said that they did not ask for this", diverted: "The call-back went elsewhere", cloned: "A passkey seems to be copied", approval_refused: "A colleague refused",
  approval_withdrawn: "A colleague took the agreement back", locked: "Too many wrong tries", risk: "Held by somebody with role risk", duress: "Proved under pressure",
};

export function HeldActions() {
  const [list, setList] = useState<Held[]>([]);
  const load = () => attempt(async () => setList((await get<{ held: Held[] }>("/v1/reviews")).held));
  useEffect(() => { void load(); }, [alarms.value.turn, asked.value]);
  if (list.length === 0) return null;
  return <section aria-label="Held actions">{list.map((h) => <One key={h.release} h={h} done={load} />)}</section>;
}

function One({ h, done }: { h: Held; done: () => void }) {
  const [why, setWhy] = useState("");
  const decide = (what: "lift" | "deny") => {
    if (!why.trim()) return tell("Say what you found.");
    void attempt(async () => {
      await post(`/v1/releases/${h.release}/${what}`, { why });
      tell(what === "lift" ? "Lifted, under your name. It goes on gathering proof." : "Ended, under your name.");
      done();
    });
  };
  return (
    <Panel title={fieldName(h.says)} side={<span class="pills"><Pill how="plain">{h.class}</Pill><Pill how="bad">{h.duress ? "Under pressure" : "Held"}</Pill></span>}>
      <p><strong><bdi>{h.requester}</bdi></strong> asked for it {age(h.requested_at, now.value)}.</p>
      <ul class="odd">{h.holds.map((x) => <li class="warn">{WHY[x.why] ?? fieldName(x.why)}{x.by && <>, <bdi>{x.by}</bdi></>}, {age(x.at, now.value)}{x.until && `, for ${lasts(Date.parse(x.until) - now.value)} more`}.</li>)}</ul>
      {h.duress && <p class="alert">To the agent and to whoever stands behind the caller it seems to go on as usual. Nothing of it is done. Ending it ends the appearance too.</p>}
      <dl class="facts big">{h.fields.map((f) => <div><dt>{fieldName(f.name)}</dt><dd class={f.type}><bdi>{shown(f.value, f.type)}</bdi></dd></div>)}</dl>
      {h.flags.map((f) => <p class="alert">{sentence(f)}.</p>)}
      <ul class="rows">
        {h.evidence.map((e) => <li><div><strong>{factName(e.fact)}</strong></div><span class="aside">{age(e.at, now.value)}</span></li>)}
        {h.evidence.length === 0 && <li><p class="aside">Nothing was proved yet.</p></li>}
      </ul>
      {h.risks.length > 0 && <ul class="odd">{h.risks.map((r) => <li class={r.odd ? "warn" : ""}>{r.says}</li>)}</ul>}
      <p class="aside">Reach the person on the number on file, not on the one that called. Whoever opened, approved or talked cannot decide.</p>
      <div><label for={`held-${h.release}`}>What you found</label><input id={`held-${h.release}`} value={why} maxLength={200} autocomplete="off" onInput={(e) => setWhy(e.currentTarget.value)} /></div>
      <div class="go">
        {!h.duress && <button type="button" onClick={() => decide("lift")}>Lift the hold</button>}
        <button type="button" class="stop" onClick={() => decide("deny")}>End the action</button>
      </div>
    </Panel>
  );
}
