// Replay: a real call of the last thirty days, played against the draft. What
// is kept of a call holds no digit and no value; shadow does the same live.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { attempt, Button, Pill, tell } from "./parts";
import { age } from "./words";
import { when } from "./flow-changes";
import type { Place, Set } from "./flow-types";

interface Call { id: string; reference: string; at: string; line: string; flow: string; runs: number }
interface Where { flow: string; scene: string; line: number }
interface Difference { kind: string; was: Where; now: Where; before?: string; after?: string; says: string }
interface Step { seconds: number; file: string; line: number; scene: string; verb: string; asks?: string; words?: string; way: string; facts: string[]; knows: string[] }
interface Followed { flow: string; result: "same" | "words" | "differs" | "unknown"; asked: number; differences: Difference[]; steps: Step[] }
interface Shadow { bundle?: string; since?: string; until?: string; runs: boolean; calls: number; same: number; words: number; differs: number; unknown: number; differences: { says: string; calls: number }[] }

const RESULT: Record<Followed["result"], [string, "ok" | "warn" | "bad" | "plain"]> = {
  same: ["The draft does the same", "ok"], words: ["It asks the same in other words", "ok"], differs: ["It asks something else", "warn"], unknown: ["It cannot be followed to the end", "plain"],
};

export function ReplayView({ set, draft, open, seen, version }: { set: Set; draft?: string; open: (at: Place) => void; seen: (path: Place[]) => void; version: () => Promise<number | undefined> }) {
  const [calls, setCalls] = useState<Call[] | null>(null);
  const [chosen, setChosen] = useState("");
  const [runs, setRuns] = useState<Followed[] | null>(null);
  useEffect(() => { void attempt(async () => setCalls((await get<{ calls: Call[] }>("/v1/flows/calls")).calls)); }, []);
  if (!calls) return null;
  const play = () => attempt(async () => {
    const got = (await post<{ runs: Followed[] }>("/v1/flows/replay", { set, call: chosen })).runs;
    setRuns(got);
    seen(got.flatMap((r) => r.steps.filter((s) => s.line > 0).map((s) => ({ file: s.file, line: s.line }))));
  });
  return (
    <div class="replay">
      {calls.length === 0 ? <p class="aside">No call is kept. Calls are kept for 30 days, as lines and how they ended: no digit, no value.</p> : (
        <div class="inline">
          <label for="y-call">A call of the last 30 days</label>
          <select id="y-call" value={chosen} onChange={(e) => setChosen(e.currentTarget.value)}>
            <option value="">Choose a call</option>
            {calls.map((c) => <option value={c.id}>{c.reference || c.id.slice(-8)} · {c.flow} · {age(c.at, Date.now())}</option>)}
          </select>
          <Button main why={chosen ? undefined : "Choose a call first."} act={play}>Replay it</Button>
        </div>
      )}
      {runs?.map((r) => (
        <section aria-label={`Run of ${r.flow}`}>
          <p class="pills"><strong>{r.flow}</strong> <Pill how={RESULT[r.result][1]}>{RESULT[r.result][0]}</Pill> <span class="aside">{r.asked} questions that both ask</span></p>
          {r.differences.length > 0 && <ul class="faults">{r.differences.map((d) => <li>{d.says}</li>)}</ul>}
          <ol class="steps" tabIndex={0} aria-label="What the draft does">
            {r.steps.map((s) => (
              <li>
                <button type="button" class="quiet" onClick={() => s.line > 0 && open(s)}>
                  <time>{Math.floor(s.seconds / 60)}:{String(Math.floor(s.seconds % 60)).padStart(2, "0")}</time><span class="by">{s.verb || "Leg"}</span>
                  <span><span>{s.words || s.asks || s.scene}</span> <span class="aside">{s.way.replaceAll("_", " ")}{s.facts.length > 0 && ` · proved ${s.facts.join(", ").replaceAll("_", " ")}`}{s.knows.length > 0 && ` · ${s.knows.join(", ")}`}</span></span>
                </button>
              </li>
            ))}
          </ol>
        </section>
      ))}
      {draft && <ShadowView draft={draft} version={version} />}
    </div>
  );
}

// ShadowView lets the draft follow live calls, with no effect on any.
function ShadowView({ draft, version }: { draft: string; version: () => Promise<number | undefined> }) {
  const [s, setS] = useState<Shadow | null>(null);
  const load = () => attempt(async () => setS(await get<Shadow>("/v1/flows/shadow")));
  useEffect(() => { void load(); }, []);
  if (!s) return null;
  const begin = () => attempt(async () => {
    const at = await version();
    if (at === undefined) return;
    await post(`/v1/flows/drafts/${draft}/shadow`, { version: at });
    tell("It follows the calls that begin within the next 24 hours. Nobody hears it.");
    await load();
  });
  const stop = () => attempt(async () => { await post("/v1/flows/shadow/stop"); tell("It follows no more calls."); await load(); });
  return (
    <section class="shadow" aria-label="Shadow">
      <h3>Shadow</h3>
      <p>The draft hears what callers answer on live calls and goes through its own scenes with it. Nothing of it is spoken, sent or released.</p>
      {s.bundle && (
        <>
          <p class="pills"><Pill how={s.runs ? "ok" : "plain"}>{s.runs ? `Follows calls until ${when(s.until!)}` : "Stopped"}</Pill><Pill how="plain">{s.calls} calls</Pill><Pill how="ok">{s.same + s.words} the same</Pill><Pill how={s.differs ? "warn" : "plain"}>{s.differs} differ</Pill></p>
          {s.differences.length > 0 && <ul class="faults">{s.differences.map((d) => <li><span class="where">{d.calls}×</span> {d.says}</li>)}</ul>}
        </>
      )}
      <div class="go"><Button act={begin}>Let this draft follow calls for 24 hours</Button>{s.runs && <Button quiet act={stop}>Stop it</Button>}</div>
    </section>
  );
}
