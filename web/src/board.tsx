// The wallboard: one row a live call, the riskiest first; today in figures; and
// what the log tells over time. A bundle of its own.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { watchAsked } from "./asked";
import { Bars, Share } from "./chart";
import { calls, now } from "./live";
import { attempt, Panel, Pill } from "./parts";
import { open } from "./shell";
import { age, factName, fieldName, lasts, over, shown, stateName } from "./words";
import type { Call } from "./types";

interface Board { released: number; held: number; stopped: number; calls: number; waiting: number; waivers: string[]; alerts: { index: number; at: string; traversal?: string; data?: Record<string, string> }[] }
interface Method { method: string; asked: number; proved: number; failed: number; silent: number; refused: number; down: number; median_s: number; p90_s: number }
interface Charts { since: string; step: "hour" | "day"; points: { at: string; calls: number; released: number; held: number; stopped: number }[]; attest: { letter: string; calls: number }[]; methods: Method[]; read: number }

// What a call holds: the money of its actions that are not over, in minor units;
// of mixed currencies the greatest number sorts first, good enough for an order.
const pending = (c: Call) => (c.releases ?? []).filter((r) => !over(r.state));
const sums = (c: Call) => pending(c).flatMap((r) => Object.values(r.fields ?? {}).filter((v) => /^\d+ [A-Z]{3}$/.test(v)));
const money = (c: Call) => sums(c).reduce((n, v) => n + Number(v.split(" ")[0]), 0);
const risk = (c: Call) => (c.alert ? 1000 : 0) + (c.stir === "no" ? 100 : 0) + Math.max(0, ...pending(c).map((r) => Number(r.class.slice(1)) * 10)) + (c.attest === "A" ? 0 : 5);
const current = (c: Call) => pending(c).at(-1) ?? c.releases?.at(-1);

function BoardPage() {
  const [b, setBoard] = useState<Board | null>(null);
  const turn = Math.floor(now.value / 10_000);
  useEffect(() => { void attempt(async () => setBoard(await get<Board>("/v1/board"))); }, [turn]);
  const rows = [...calls.value.values()].sort((x, y) => risk(y) - risk(x) || money(y) - money(x));
  const red = rows.filter((c) => c.alert).length;
  useEffect(() => { document.title = red ? `● ${red} to look at · ringfence` : "Board · ringfence"; }, [red]);
  return (
    <main>
      <h1>Board</h1>
      <dl class="figures">
        {([["Live now", rows.length], ["Calls today", b?.calls], ["Released", b?.released], ["Held", b?.held], ["Stopped", b?.stopped], ["Wait for a colleague", b?.waiting]] as const)
          .map(([name, n]) => <div><dt>{name}</dt><dd>{n ?? "–"}</dd></div>)}
      </dl>
      {b?.waivers.map((w) => <p class="standing" role="note">Waiver in force: {w}</p>)}
      <Panel title="Live calls" live>
        <div class="scroll" tabIndex={0} role="region" aria-label="Live calls, table">
          <table class="cards">
            <thead><tr><th scope="col">Claims to be</th><th scope="col">Caller</th><th scope="col">State</th><th scope="col">Action</th><th scope="col">Money held</th><th scope="col">Since</th></tr></thead>
            <tbody>
              {rows.map((c) => (
                <tr key={c.traversal} class={c.alert ? "red" : ""}>
                  <td><strong><bdi>{c.claim || "nobody yet"}</bdi></strong>{c.alert && <p><bdi>{c.alert}</bdi></p>}</td>
                  <td data-of="Caller"><bdi>{c.caller || "withheld"}</bdi> <Pill how={c.attest === "A" ? "ok" : c.stir === "no" ? "bad" : "warn"}>{c.attest || "–"}</Pill></td>
                  <td data-of="State">{stateName(c.state)}</td>
                  <td data-of="Action">{current(c)?.says ?? "–"}</td>
                  <td class="num" data-of="Money held">{sums(c).map((v) => shown(v, "money")).join(", ") || "–"}</td>
                  <td class="num" data-of="Since">{lasts(now.value - Date.parse(c.began))}</td>
                </tr>
              ))}
              {rows.length === 0 && <tr><td colSpan={6} class="aside">No live call.</td></tr>}
            </tbody>
          </table>
        </div>
      </Panel>
      <ChartsPanel />
      <Panel title="Newest alerts" side={<a class="aside" href="/alerts">All alerts</a>}>
        <ul class="rows">
          {b?.alerts.map((a) => <li key={a.index}><div><strong><bdi>{fieldName(a.data?.alarm ?? a.data?.text ?? "alert")}</bdi></strong><p class="aside">{a.traversal && <a href={`/calls?traversal=${a.traversal}`}>Show the call</a>}</p></div><div class="end"><span class="aside">{age(a.at, now.value)}</span></div></li>)}
          {b?.alerts.length === 0 && <li><p class="aside">None.</p></li>}
        </ul>
      </Panel>
    </main>
  );
}

const SPANS = [["day", "24 hours"], ["week", "7 days"], ["month", "30 days"]] as const;
const LETTER: Record<string, [string, "ok" | "warn" | "bad" | "plain" | "none"]> = { A: ["A", "ok"], B: ["B", "warn"], C: ["C", "plain"], none: ["not signed", "none"], failed: ["failed", "bad"] };

function ChartsPanel() {
  const [span, setSpan] = useState<string>("day");
  const [c, setCharts] = useState<Charts | null>(null);
  const turn = Math.floor(now.value / 30_000);
  const reading = c !== null && c.read < 1;
  useEffect(() => {
    let stale = false;
    const load = () => attempt(async () => {
      const got = await get<Charts>(`/v1/board/charts?span=${span}`);
      if (stale) return;
      setCharts(got);
      if (got.read < 1) setTimeout(() => { if (!stale) void load(); }, 300); // the server goes on where it stopped
    });
    void load();
    return () => { stale = true; };
  }, [span, turn]);
  const labels = c?.points.map((p) => (c.step === "hour" ? new Date(p.at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) : new Date(p.at).toLocaleDateString("en-GB", { day: "numeric", month: "short" }))) ?? [];
  const signed = c?.attest.reduce((n, a) => n + a.calls, 0) ?? 0;
  return (
    <Panel title="Over time" side={<span class="pills spans" role="group" aria-label="Span of time">{SPANS.map(([id, name]) => <button type="button" class="quiet" aria-pressed={span === id} onClick={() => setSpan(id)}>{name}</button>)}</span>}>
      {!c && <p class="aside">Reading the log.</p>}
      {reading && <p class="aside" role="status">Still reading the log: {Math.floor(c.read * 100)} %. The figures grow.</p>}
      {c && (
        <>
          <div class="charts four">
            <Bars title="Released" how="ok" labels={labels} values={c.points.map((p) => p.released)} />
            <Bars title="Held" how="warn" labels={labels} values={c.points.map((p) => p.held)} />
            <Bars title="Stopped" how="bad" labels={labels} values={c.points.map((p) => p.stopped)} />
            <Bars title="Calls" how="plain" labels={labels} values={c.points.map((p) => p.calls)} />
          </div>
          <h3>Signatures of callers</h3>
          <Share name="Signatures of callers" parts={c.attest.map((a) => ({ says: LETTER[a.letter]![0], n: a.calls, how: LETTER[a.letter]![1] }))} />
          <ul class="legend">{c.attest.map((a) => <li><span class={`key ${LETTER[a.letter]![1]}`} aria-hidden="true" />{LETTER[a.letter]![0]} <strong>{a.calls}</strong>{signed > 0 && <span class="aside"> {Math.round((a.calls / signed) * 100)} %</span>}</li>)}</ul>
          <h3>Methods</h3>
          <Methods all={c.methods} />
        </>
      )}
    </Panel>
  );
}

const seconds = (s: number) => (s ? lasts(s * 1000) : "–");

// Methods shows which step loses honest callers: by silence, by wrong answers,
// or because the message never came.
function Methods({ all }: { all: Method[] }) {
  if (all.length === 0) return <p class="aside">Nobody was asked for a proof in this time.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Methods, table">
      <table class="methods cards">
        <thead><tr><th scope="col">Method</th><th scope="col">Outcome</th><th scope="col">Asked</th><th scope="col">Proved</th><th scope="col">Wrong</th><th scope="col">Silent</th><th scope="col">Not delivered</th><th scope="col">“Not me”</th><th scope="col">Half within</th><th scope="col">9 of 10 within</th></tr></thead>
        <tbody>
          {all.map((m) => (
            <tr>
              <th scope="row">{factName(m.method)}</th>
              <td class="bar-cell"><Share name={factName(m.method)} parts={[{ says: "proved", n: m.proved, how: "ok" }, { says: "wrong or silent", n: m.failed + m.silent, how: "warn" }, { says: "not delivered", n: m.down, how: "plain" }, { says: "not me", n: m.refused, how: "bad" }]} /></td>
              <td class="num" data-of="Asked">{m.asked}</td><td class="num" data-of="Proved">{m.proved}{m.asked > 0 && <span class="aside"> {Math.round((m.proved / m.asked) * 100)} %</span>}</td><td class="num" data-of="Wrong">{m.failed}</td><td class="num" data-of="Silent">{m.silent}</td><td class="num" data-of="Not delivered">{m.down}</td><td class="num" data-of="“Not me”">{m.refused}</td>
              <td class="num" data-of="Half within">{seconds(m.median_s)}</td><td class="num" data-of="9 of 10 within">{seconds(m.p90_s)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

open(() => <BoardPage />, watchAsked);
