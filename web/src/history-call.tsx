// One past call: who, what was proved and how old that was, the way through the
// flows, the messages, the sound, the recording, the entries and their proof.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { Entries, VerifyPanel } from "./history-log";
import { Recordings } from "./history-play";
import { Quality, Ladder } from "./history-wire";
import { MapView } from "./flow-map";
import { attempt, Panel, Pill } from "./parts";
import { day, minutes, releaseWord, sourceSays, when } from "./history-words";
import { attestSays, bare, factName, lasts } from "./words";
import type { Detail, Leg, Proof, Run } from "./history-types";

export function CallPage({ id }: { id: string }) {
  const [d, setDetail] = useState<Detail | null>(null);
  const [runs, setRuns] = useState<Run[]>([]);
  const [legs, setLegs] = useState<Leg[]>([]);
  const [last, setLast] = useState(-1);
  const [gone, setGone] = useState(false);
  useEffect(() => {
    void attempt(() => get<Detail>(`/v1/history/${id}`)).then((got) => { if (got) setDetail(got); else setGone(true); });
    get<{ runs: Run[] }>(`/v1/history/${id}/flow`).then((got) => setRuns(got.runs), () => {});
    get<{ legs: Leg[] }>(`/v1/traversals/${id}/trace`).then((got) => setLegs(got.legs ?? []), () => {}); // kept for 30 days
  }, []);
  if (gone) return <main><h1>Calls</h1><Panel title="There is no such call"><p><a href="/calls">All calls</a></p></Panel></main>;
  if (!d) return <main><h1>Calls</h1></main>;
  return (
    <main>
      <p><a href="/calls">All calls</a></p>
      <h1>Call {d.call.reference || d.call.traversal}</h1>
      <div class="past">
        <div class="left">
          <Caller d={d} />
          <Evidence d={d} />
          {runs.map((r) => <Way run={r} />)}
        </div>
        <div class="right">
          {legs.length > 0 && <Ladder legs={legs} />}
          {legs.length > 0 && <Quality legs={legs} />}
          {legs.length === 0 && <Panel title="Messages and sound"><p class="aside">Nothing is kept of them. They are kept for 30 days.</p></Panel>}
          <Recordings call={id} />
        </div>
      </div>
      <Entries title="Everything in the log" filter={`traversal=${id}`} seen={(_, index) => setLast((old) => Math.max(old, index))} />
      <VerifyPanel of={`traversal=${id}`} last={last < 0 ? undefined : last} />
    </main>
  );
}

function Caller({ d }: { d: Detail }) {
  const c = d.call;
  const how = c.stir === "no" ? "bad" : c.stir === "yes" && c.attest === "A" ? "ok" : "warn";
  return (
    <Panel title="Call" side={<span class="pills">{c.live && <Pill how="ok">Live</Pill>}<Pill how={how}>{c.stir === "no" ? "Signature failed" : c.stir === "yes" && c.attest ? `Attestation ${c.attest}` : "Not signed"}</Pill></span>}>
      {c.alert && <p class="alert"><bdi>{c.alert}</bdi></p>}
      <dl class="facts">
        <div><dt>{c.direction === "outbound" ? "We called" : "From"}</dt><dd>{c.caller || (c.direction === "outbound" ? "a number on file" : "withheld")}</dd></div>
        <div><dt>Line</dt><dd>{c.line || "–"}</dd></div>
        <div><dt>Began</dt><dd>{day(c.began)} {when(c.began)} UTC</dd></div>
        <div><dt>Lasted</dt><dd>{c.ended ? minutes(Date.parse(c.ended) - Date.parse(c.began)) : c.live ? "still on" : "no end seen"}</dd></div>
        <div><dt>Answered by</dt><dd><bdi>{bare(c.people.map((p) => d.names[p] ?? p).join(", ")) || "nobody"}</bdi></dd></div>
        {c.subject && <div><dt>About</dt><dd><a href={`/calls?text=${c.subject}`}>this {(c.subject_kind ?? "subject").replaceAll("_", " ")}</a></dd></div>}
      </dl>
      <p class="aside">{c.stir_says || attestSays(c.attest)}</p>
      {c.actions.length > 0 && (
        <ul class="rows">
          {c.actions.map((a) => <li><div><strong>{a.says}</strong><p class="aside">{a.class} · <a href={`/audit?release=${a.release}`}>{a.release}</a></p></div><div class="end"><Pill how={releaseWord(a.state)[1]}>{releaseWord(a.state)[0]}</Pill></div></li>)}
        </ul>
      )}
    </Panel>
  );
}

const known = (p: Proof) => {
  const s = p.source;
  if (!s) return p.leg ? "On a leg of this call" : "";
  const since = Date.parse(s.changed ?? s.since) > Date.parse(s.since) ? s.changed! : s.since;
  return `${sourceSays(s.kind)}${s.masked ? ` ${s.masked}` : ""}, ${since === s.since ? "stored" : "changed"} ${lasts(Date.parse(p.at) - Date.parse(since))} before${s.status === "active" ? "" : `, ${s.status} now`}`;
};

function Evidence({ d }: { d: Detail }) {
  return (
    <Panel title="What was proved">
      {d.evidence.length === 0 && <p class="aside">Nothing was proved on this call.</p>}
      <ul class="rows">
        {d.evidence.map((p) => (
          <li>
            <div><strong>{factName(p.fact)}</strong><p class="aside">{known(p)}</p>{p.presented && <p class="aside">Every field of the action was shown or spoken</p>}</div>
            <div class="end"><time dateTime={p.at}>{when(p.at)}</time><span class="aside">{p.release ? <a href={`/audit?release=${p.release}`}>for one action</a> : "for no action"}</span></div>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const WAY: Record<string, string> = { enters: "", hangs_up: "the caller hung up", changed: "the far end became somebody else", cancelled: "stopped from outside" };

function Way({ run }: { run: Run }) {
  const [at, setAt] = useState<number | undefined>(undefined);
  const path = run.steps.filter((s) => s.line > 0).map((s) => s.line);
  return (
    <Panel title={`Way through ${run.flow}`} side={<span class="aside pills">flows {run.bundle.slice(0, 12)}</span>}>
      {run.map ? <MapView map={run.map} name={run.flow} lit={{ line: at ?? path.at(-1), path }} open={setAt} /> : <p class="aside">The flows of then are not kept any more, so there is no map.</p>}
      <ol class="steps" tabIndex={0} aria-label={`Steps through ${run.flow}`}>
        {run.steps.map((s) => (
          <li class={s.line > 0 && s.line === at ? "chosen" : ""}>
            <button type="button" class="quiet" onClick={() => setAt(s.line > 0 ? s.line : undefined)}>
              <time>{minutes(s.seconds * 1000)}</time><span class="by">{s.verb || s.scene}</span>
              <span>{s.words || s.asks || s.scene} <span class="aside">{WAY[s.way] ?? s.way.replaceAll("_", " ")}</span></span>
            </button>
          </li>
        ))}
      </ol>
      {run.cut && <p class="aside">It was longer than what is kept.</p>}
    </Panel>
  );
}
