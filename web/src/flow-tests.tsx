// Flow tests with coverage of lines and of the ways they end.

import { useState } from "preact/hooks";
import { post } from "./api";
import { attempt, Button, Pill, tell } from "./parts";
import { MapView } from "./flow-map";
import type { Gap, Place, Set, Tests } from "./flow-types";

export function TestsView({ set, flow, open, gaps }: { set: Set; flow: string; open: (at: Place) => void; gaps: (list: Gap[]) => void }) {
  const [out, setOut] = useState<Tests | null>(null);
  const [busy, setBusy] = useState(false);
  const run = () => attempt(async () => {
    setBusy(true);
    try {
      const got = await post<Tests>("/v1/flows/test", { set, flow });
      setOut(got);
      gaps(got.gaps);
      tell(got.failed ? `${got.failed} of ${got.tests.length} tests fail.` : `All ${got.tests.length} tests pass.`, got.failed > 0);
    } finally {
      setBusy(false);
    }
  });
  const failed = out?.tests.filter((t) => t.problems.length) ?? [];
  return (
    <div class="tests">
      <div class="go"><Button main={!out} why={busy ? "They are running." : undefined} act={run}>{out ? "Run again" : "Run all tests"}</Button></div>
      {out && (
        <>
          <p class="pills">
            <Pill how={out.failed ? "bad" : "ok"}>{out.failed ? `${out.failed} of ${out.tests.length} tests fail` : `All ${out.tests.length} tests pass`}</Pill>
            <Pill how={out.taken === out.all ? "ok" : "warn"}>{out.taken} of {out.all} ways out of lines are taken</Pill>
          </p>
          {out.problems.map((p) => <p class="alert"><button type="button" class="at" onClick={() => open(p)}>{p.file}:{p.line}</button> {p.message}</p>)}
          {failed.map((t) => (
            <details class="failed" open={failed.length === 1}>
              <summary>{t.name} <span class="aside">{t.flow}</span></summary>
              {t.problems.map((p) => <p><button type="button" class="at" onClick={() => open(p)}>{p.file}:{p.line}</button> {p.message}</p>)}
              <pre tabIndex={0}>{t.trace?.join("\n")}</pre>
            </details>
          ))}
          {out.gaps.length > 0 && (
            <>
              <h3>No test takes</h3>
              <ul class="faults">{out.gaps.slice(0, 100).map((g) => <li><button type="button" class="at" onClick={() => open(g)}>{g.file}:{g.line}</button> {g.says}</li>)}</ul>
            </>
          )}
          {out.map && out.gaps.some((g) => g.flow === flow) && <MapView map={out.map} name={flow} lit={{}} open={(line) => open({ file: out.gaps.find((g) => g.flow === flow)!.file, line })} />}
        </>
      )}
    </div>
  );
}
