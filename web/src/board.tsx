// The wallboard: one row a live call, the riskiest first.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { current } from "./call";
import { calls, now } from "./live";
import { attempt, Panel, Pill } from "./parts";
import { age, lasts, shown, stateName } from "./words";
import type { Call } from "./types";

interface Board { released: number; held: number; stopped: number; calls: number; waiting: number; waivers: string[]; alerts: { index: number; at: string; traversal?: string; data?: Record<string, string> }[] }

// money held by a call's open actions, in minor units; of mixed currencies the
// greatest number sorts first, which is good enough for an order.
const held = (c: Call) => (c.releases ?? []).reduce((sum, r) => sum + Object.values(r.fields ?? {}).reduce((n, v) => n + (/^\d+ [A-Z]{3}$/.test(v) ? Number(v.split(" ")[0]) : 0), 0), 0);
const amounts = (c: Call) => (c.releases ?? []).flatMap((r) => Object.values(r.fields ?? {}).filter((v) => /^\d+ [A-Z]{3}$/.test(v)).map((v) => shown(v, "money"))).join(", ");
const risk = (c: Call) => (c.alert ? 1000 : 0) + (c.stir === "no" ? 100 : 0) + Math.max(0, ...(c.releases ?? []).map((r) => Number(r.class.slice(1)) * 10)) + (c.attest === "A" ? 0 : 5);

export function BoardPage() {
  const [b, setBoard] = useState<Board | null>(null);
  const minute = Math.floor(now.value / 10_000);
  useEffect(() => { void attempt(async () => setBoard(await get<Board>("/v1/board"))); }, [minute]);
  const rows = [...calls.value.values()].sort((x, y) => risk(y) - risk(x) || held(y) - held(x));
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
          <table>
            <thead><tr><th scope="col">Claims to be</th><th scope="col">Caller</th><th scope="col">State</th><th scope="col">Action</th><th scope="col">Money held</th><th scope="col">Since</th></tr></thead>
            <tbody>
              {rows.map((c) => (
                <tr class={c.alert ? "red" : ""}>
                  <td><strong><bdi>{c.claim || "nobody yet"}</bdi></strong>{c.alert && <p>{c.alert}</p>}</td>
                  <td><bdi>{c.caller || "withheld"}</bdi> <Pill how={c.attest === "A" ? "ok" : c.stir === "no" ? "bad" : "warn"}>{c.attest || "–"}</Pill></td>
                  <td>{stateName(c.state)}</td>
                  <td>{current(c)?.says ?? "–"}</td>
                  <td class="num">{amounts(c) || "–"}</td>
                  <td class="num">{lasts(now.value - Date.parse(c.began))}</td>
                </tr>
              ))}
              {rows.length === 0 && <tr><td colSpan={6} class="aside">No live call.</td></tr>}
            </tbody>
          </table>
        </div>
      </Panel>
      <Panel title="Newest alerts">
        <ul class="rows">
          {b?.alerts.map((a) => <li><div><strong>{a.data?.alarm ?? a.data?.text ?? "alert"}</strong><p class="aside">{a.traversal && <a href={`/calls?traversal=${a.traversal}`}>Show the call</a>}</p></div><div class="end"><span class="aside">{age(a.at, now.value)}</span></div></li>)}
          {b?.alerts.length === 0 && <li><p class="aside">None.</p></li>}
        </ul>
      </Panel>
    </main>
  );
}
