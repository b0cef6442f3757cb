// Drills: attacks run against a copy of this configuration, and what stopped
// each of them.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { me } from "./shell";
import { now } from "./live";
import { age, bare } from "./words";

interface Drill { name: string; does: string; layer: string }
interface Result extends Drill { outcome: "stopped" | "through" | "not_applicable" | "failed"; says: string; seconds: number }
interface Report { id: string; began: string; ended: string; by?: string; bundle: string; ok: boolean; stopped: number; through: number; not_applicable: number; failed: number; error?: string; results: Result[] }
interface Drills { drills: Drill[]; running: boolean; reports: Report[] }

const OUTCOME: Record<Result["outcome"], [string, "ok" | "warn" | "bad" | "plain"]> = {
  stopped: ["Stopped", "ok"], through: ["Got through", "bad"], not_applicable: ["Nothing to attack", "plain"], failed: ["Not known", "warn"],
};
const ORDER = ["through", "failed", "stopped", "not_applicable"]; // what needs a person first

export function DrillsPage() {
  const [d, setDrills] = useState<Drills | null>(null);
  const [only, setOnly] = useState<string[]>([]);
  const [shown, setShown] = useState("");
  const load = () => attempt(async () => setDrills(await get<Drills>("/v1/drills")));
  const turn = d?.running ? Math.floor(now.value / 2000) : 0;
  useEffect(() => { void load(); }, [turn]);
  if (!d) return <main><h1>Drills</h1></main>;
  const may = me.value!.roles.some((r) => r === "admin" || r === "risk");
  const start = () => attempt(async () => {
    const got = await post<{ id: string }>("/v1/drills", only.length ? { only } : {});
    setShown(got.id);
    tell("The drill has begun. It touches no caller, no money and no telephone of yours.");
    await load();
  });
  const report = d.reports.find((r) => r.id === shown) ?? d.reports[0];
  return (
    <main>
      <h1>Drills</h1>
      <div class="past">
        <div class="left">{report ? <ReportPanel r={report} /> : <Panel title="No drill was run yet"><p>A drill runs attack calls against a second ringfence with this configuration, and tells what stopped each of them.</p></Panel>}</div>
        <div class="right">
          {may && (
            <Panel title="Run a drill" side={d.running && <span class="pills"><Pill how="warn">Running</Pill></span>}>
              {d.drills.length === 0 ? <p class="aside">Drills are run from the command line here: <code>ringfence drill</code></p> : (
                <>
                  <p class="aside">With people, telephones, keys and a store of its own: no caller and no executor hears of it.</p>
                  <details><summary>{only.length ? `${only.length} of ${d.drills.length} attacks` : d.drills.length === 1 ? "The one attack" : `All ${d.drills.length} attacks`}</summary>
                    <div class="choices">{d.drills.map((x) => <label class="check"><input type="checkbox" checked={only.includes(x.name)} onChange={(e) => setOnly(e.currentTarget.checked ? [...only, x.name] : only.filter((n) => n !== x.name))} /> <span>{x.does}</span></label>)}</div>
                  </details>
                  <div class="go"><Button main why={d.running ? "A drill runs already." : undefined} act={start}>{d.running ? "Running" : "Run the drill"}</Button></div>
                </>
              )}
            </Panel>
          )}
          <Panel title="Earlier runs">
            <ul class="rows">
              {d.reports.map((r) => (
                <li key={r.id}>
                  <div><button type="button" class="quiet" aria-pressed={r.id === report?.id} onClick={() => setShown(r.id)}>{age(r.began, now.value)}</button><p class="aside">{r.results.length} attacks{r.by ? "" : ", from the command line"}</p></div>
                  <div class="end"><Verdict r={r} /></div>
                </li>
              ))}
              {d.reports.length === 0 && <li><p class="aside">None.</p></li>}
            </ul>
          </Panel>
        </div>
      </div>
    </main>
  );
}

const Verdict = ({ r }: { r: Report }) => (r.through > 0 ? <Pill how="bad">{r.through} got through</Pill> : r.ok ? <Pill how="ok">All stopped</Pill> : <Pill how="warn">Not complete</Pill>);

function ReportPanel({ r }: { r: Report }) {
  const results = r.results.toSorted((a, b) => ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome));
  return (
    <Panel title={`Drill, ${age(r.began, now.value)}`} side={<span class="pills"><Verdict r={r} /></span>}>
      <dl class="facts"><div><dt>Stopped</dt><dd>{r.stopped}</dd></div><div><dt>Got through</dt><dd>{r.through}</dd></div><div><dt>Not known</dt><dd>{r.failed}</dd></div><div><dt>Nothing to attack</dt><dd>{r.not_applicable}</dd></div></dl>
      {r.error && <p class="alert">{r.error}</p>}
      <ul class="rows drill">
        {results.map((x) => (
          <li class={x.outcome}>
            <div><strong>{x.does}</strong><p class="aside">{x.outcome === "stopped" ? "Stopped by" : "To be stopped by"} {x.layer}</p><p><bdi>{bare(x.says)}</bdi></p></div>
            <div class="end"><Pill how={OUTCOME[x.outcome][1]}>{OUTCOME[x.outcome][0]}</Pill><span class="aside">{x.seconds.toFixed(1)} s</span></div>
          </li>
        ))}
      </ul>
      <p class="aside">Flows and policy <code>{r.bundle.slice(0, 12)}</code>. The start and the end of each run stand in the log.</p>
    </Panel>
  );
}
