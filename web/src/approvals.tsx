// The approver's page: the exact action, what was proved and how long ago, who
// asked. Agreeing and refusing are both signed with the approver's passkey.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { asked, now } from "./live";
import { attempt, Panel, Pill, tell } from "./parts";
import { NotDone, use } from "./passkey";
import { age, factName, fieldName, lasts, reasonSays, sentence, shown } from "./words";

interface Approval {
  release: string; says: string; class: string; fields: { name: string; type: string; value: string }[]; flags: string[]; requester: string; asked_by?: string;
  requested_at: string; expires_at: string; evidence: { fact: string; strength: string; at: string; since?: string; masked?: string; presented: boolean }[]; reasons: string[]; risks: { says: string; odd: boolean }[]; waivers: string[];
  digest: string; policy: string; evidence_hash: string;
}

const ASKED: Record<string, string> = { phone: "asked for on the telephone", in_person: "asked for in person", email: "asked for by e-mail", letter: "asked for by letter or invoice" };

export function ApprovalsPage() {
  const one = location.pathname.split("/")[2] ?? location.hash.slice(1); // a notice may carry the id as a fragment
  const [list, setList] = useState<Approval[] | null>(null);
  const load = () => attempt(async () => {
    const all = (await get<{ approvals: Approval[] }>("/v1/approvals")).approvals;
    setList(one ? all.filter((a) => a.release === one) : all);
  });
  useEffect(() => { void load(); }, [asked.value]);
  return (
    <main class="narrow">
      <h1>{one ? "Do you agree to this?" : "Waiting for you"}</h1>
      {list?.length === 0 && <Panel title="Nothing to decide"><p>{one ? "This action does not wait for you, or not any more." : "When somebody asks you to agree to an action it appears here by itself."}</p></Panel>}
      {list?.map((a) => <One key={a.release + a.evidence_hash} a={a} />)}
    </main>
  );
}

function One({ a }: { a: Approval }) {
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const decide = (agrees: boolean) => attempt(async () => {
    if (busy) return;
    setBusy(true);
    try {
      const seen = { agrees, digest: a.digest, policy: a.policy, evidence_hash: a.evidence_hash };
      const begun = await post<any>(`/v1/approvals/${a.release}/begin`, seen);
      const response = await use(begun.options);
      await post(`/v1/approvals/${a.release}/finish`, { ...seen, reason, ceremony: begun.ceremony, response });
      tell(agrees ? "You agreed. It goes on from here by itself." : "You refused. It is held for a person with role risk.");
      asked.value++;
    } catch (e) {
      if (!(e instanceof NotDone)) throw e;
      tell("No passkey was used. Nothing is decided.");
    } finally {
      setBusy(false);
    }
  });
  return (
    <Panel title={fieldName(a.says)} side={<span class="pills"><Pill how="plain">{a.class}</Pill><Pill how="warn">{lasts(Date.parse(a.expires_at) - now.value)} left</Pill></span>}>
      <p><strong><bdi>{a.requester}</bdi></strong> wants to do this, {ASKED[a.asked_by ?? ""] ?? "without saying how it was asked for"}, {age(a.requested_at, now.value)}.</p>
      <dl class="facts big">
        {a.fields.map((f) => <div><dt>{fieldName(f.name)}</dt><dd class={f.type}><bdi>{shown(f.value, f.type)}</bdi></dd></div>)}
      </dl>
      {a.flags.map((f) => <p class="alert">{sentence(f)}.</p>)}
      <h3>What was proved</h3>
      <ul class="rows">
        {a.evidence.map((e) => <li><div><strong>{factName(e.fact)}</strong><p class="aside">{e.presented ? "Every field was shown or spoken to the person reached." : "The fields were not part of it."}</p>{e.since && <p class="aside">{e.masked ? `By ${e.masked}, ` : ""}{e.masked ? "unchanged" : "Set up and unchanged"} for {lasts(now.value - Date.parse(e.since))}.</p>}</div><div class="end"><Pill how="ok">Good</Pill><span class="aside">{age(e.at, now.value)}</span></div></li>)}
        {a.evidence.length === 0 && <li><p class="aside">Nothing but your agreement.</p></li>}
      </ul>
      {a.risks.length > 0 && <><h3>Risk</h3><ul class="odd">{a.risks.map((r) => <li class={r.odd ? "warn" : ""}>{r.says}</li>)}</ul></>}
      {a.reasons.filter((r) => r !== "missing").map((r) => <p class="standing">{reasonSays(r)}</p>)}
      {a.waivers.map((w) => <p class="standing">Waiver: {w}</p>)}
      <p class="aside">Look at the invoice or contract itself. A call-back shows that somebody at the number on file approved it; it does not show who is on the other line.</p>
      <div><label for={`why-${a.release}`}>Your reason, for the record (not needed to agree)</label><input id={`why-${a.release}`} value={reason} maxLength={500} onInput={(e) => setReason(e.currentTarget.value)} /></div>
      <div class="go">
        <button type="button" class="main" onClick={() => decide(true)}>Agree with a passkey</button>
        <button type="button" class="stop" onClick={() => decide(false)}>Refuse with a passkey</button>
      </div>
    </Panel>
  );
}
