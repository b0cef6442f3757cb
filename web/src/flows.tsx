// The pages of flows: what is in force and waits, one's own drafts, the editor
// of one, and what somebody asks to be signed.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { watchAsked } from "./asked";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { me, open } from "./shell";
import { age } from "./words";
import { EditorPage } from "./flow-editor";
import { DiffView, ProposalPage, shareSays, sign, signedSays, when } from "./flow-changes";
import type { Bundle, Diff, Overview } from "./flow-types";

const short = (hash: string) => hash.slice(0, 12);
const HOW: Record<string, string> = { base: "came with the installation", published: "published", rolled_back: "brought back", ramped: "ramped" };

function HomePage() {
  const [all, setAll] = useState<Overview | null>(null);
  const load = () => attempt(async () => setAll(await get<Overview>("/v1/flows")));
  useEffect(() => { void load(); }, []);
  if (!all) return <main><h1>Flows</h1></main>;
  return (
    <main class="flows">
      <h1>Flows</h1>
      <div class="columns">
        <div class="left">
          <Waiting all={all} />
          {all.may_edit && <Drafts all={all} load={load} />}
          <Panel title="Flows in force" side={<span class="aside">bundle <code>{short(all.current)}</code></span>}>
            <ul class="rows">
              {all.flows.map((f) => <li><div><a href={`/flows?open&file=${f.file}`}>{f.name}</a><p class="aside">{f.about}</p></div><div class="end"><Pill how="plain">{f.starts}</Pill></div></li>)}
            </ul>
          </Panel>
        </div>
        <div class="right">
          <InForce all={all} load={load} />
          <History all={all} load={load} />
        </div>
      </div>
    </main>
  );
}

function Waiting({ all }: { all: Overview }) {
  if (!all.proposals.length) return null;
  return (
    <Panel title="Waiting for a signature">
      <ul class="rows">
        {all.proposals.map((p) => (
          <li>
            <div><a href={`/flows?proposal=${p.bundle}`}>{p.title ? <bdi>{p.title}</bdi> : <>Bundle <code>{short(p.bundle)}</code></>}</a><p class="aside">Signed by {p.by.join(" and ") || "nobody"}{p.at && `, ${age(p.at, Date.now())}`}{!p.here && "; proposed on the command line"}</p></div>
            <div class="end">{p.looser && <Pill how="bad">Looser</Pill>}<Pill how={p.mine ? "plain" : "warn"}>{p.mine ? "You have signed" : "Look and sign"}</Pill></div>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Drafts({ all, load }: { all: Overview; load: () => void }) {
  const [title, setTitle] = useState("");
  const begin = (e: Event) => {
    e.preventDefault();
    if (!title.trim()) return tell("Say first what you want to change.");
    void attempt(async () => {
      const got = await post<{ draft: { id: string } }>("/v1/flows/drafts", { title });
      location.assign(`/flows?draft=${got.draft.id}`);
    });
  };
  return (
    <Panel title="Your drafts">
      {all.drafts.length > 0 && (
        <ul class="rows">
          {all.drafts.map((d) => (
            <li>
              <div><a href={`/flows?draft=${d.id}`}><bdi>{d.title}</bdi></a><p class="aside">Saved {age(d.at, Date.now())}, {d.changed} {d.changed === 1 ? "file" : "files"} changed</p></div>
              <div class="end">{d.behind && <Pill how="warn">Behind</Pill>}<Button quiet act={() => attempt(async () => { await post(`/v1/flows/drafts/${d.id}/discard`); tell("Thrown away."); load(); })}>Throw away</Button></div>
            </li>
          ))}
        </ul>
      )}
      <form class="inline" onSubmit={begin}>
        <label for="d-title">What you want to change</label>
        <input id="d-title" value={title} maxLength={80} autocomplete="off" placeholder="A warmer greeting" onInput={(e) => setTitle(e.currentTarget.value)} />
        <button type="submit" class="main">Begin a draft</button>
      </form>
    </Panel>
  );
}

function InForce({ all, load }: { all: Overview; load: () => void }) {
  const [percent, setPercent] = useState("");
  const set = (share: Record<string, unknown>) => attempt(async () => {
    const got = await sign("/v1/flows/ramp", undefined, { share });
    if (got) tell(signedSays(got));
    load();
  });
  const n = Number(percent);
  return (
    <>
      {all.next && <Panel title="Takes effect later"><p>{all.next.title || <code>{short(all.next.bundle)}</code>}, on {when(all.next.at!)}, for {shareSays(all.next.share)}. Signed by {all.next.by.join(" and ")}.</p><p class="aside">It is looser, so it waits. A rollback to what is in force drops it.</p></Panel>}
      {all.ramp && (
        <Panel title="Ramp" side={<span class="pills"><Pill how={all.ramp.stopped ? "bad" : "ok"}>{all.ramp.stopped ? "No new calls" : shareSays(all.ramp.share)}</Pill></span>}>
          <p><code>{short(all.ramp.bundle)}</code> since {age(all.ramp.at!, Date.now())}. While it runs, a release needs what both policies ask. It stops by itself when it does worse: more denials, more codes that do not arrive, more hang-ups.</p>
          {all.ramp.stopped && <p class="alert">{all.ramp.stopped}</p>}
          {all.may_edit && (
            <form class="inline" onSubmit={(e) => { e.preventDefault(); if (n >= 1 && n <= 99) void set({ percent: n }); else tell("1 to 99 percent."); }}>
              <label for="r-percent">Share of the calls, in percent</label>
              <input id="r-percent" value={percent} inputMode="numeric" maxLength={2} autocomplete="off" onInput={(e) => setPercent(e.currentTarget.value)} />
              <button type="submit">Set it</button>
            </form>
          )}
          {all.may_edit && <div class="go"><Button act={() => set({ all: true })}>Give it all calls</Button><Button stop act={() => set({})}>Let no new call in</Button></div>}
        </Panel>
      )}
    </>
  );
}

function History({ all, load }: { all: Overview; load: () => void }) {
  return (
    <Panel title="History">
      <ul class="rows">
        {all.history.map((b, i) => <Past key={`${b.bundle} ${b.at}`} b={b} current={b.bundle === all.current} now={i === all.history.findIndex((o) => o.bundle === all.current)} may={all.may_edit} pending={!!(all.next || all.ramp)} load={load} />)}
      </ul>
      {all.history.length === 0 && <p class="aside">Nothing was published yet.</p>}
    </Panel>
  );
}

function Past({ b, current, now, may, pending, load }: { b: Bundle; current: boolean; now: boolean; may: boolean; pending: boolean; load: () => void }) {
  const [diff, setDiff] = useState<Diff | null>(null);
  const look = () => attempt(async () => setDiff(await post<Diff>("/v1/flows/diff", { set: { bundle: b.bundle } })));
  const back = () => attempt(async () => {
    const got = await sign(`/v1/flows/rollback/${b.bundle}`, undefined, {});
    if (got) tell(signedSays(got));
    setDiff(null);
    load();
  });
  return (
    <li class="past">
      <div>
        <p><code>{short(b.bundle)}</code> {HOW[b.how ?? ""] ?? b.how} {b.at && age(b.at, Date.now())}</p>
        {b.by.length > 0 && <p class="aside">Signed by {b.by.join(" and ")}</p>}
        {diff && <><h3>Going back to it changes</h3><DiffView diff={diff} /></>}
        {may && (!current || now && pending) && <div class="go">{!diff && <Button quiet act={look}>{now ? "Drop what waits and is ramped" : "Go back to it"}</Button>}{diff && <Button main act={back}>Sign with a passkey: {now ? "keep this one only" : "go back"}</Button>}</div>}
      </div>
      {now && <div class="end"><Pill how="ok">In force</Pill></div>}
    </li>
  );
}

const page = () => {
  const q = new URLSearchParams(location.search);
  const mayEdit = me.value!.roles.some((r) => r === "ops" || r === "risk");
  if (q.has("draft")) return <EditorPage draft={q.get("draft")!} />;
  if (q.has("open")) return <EditorPage />;
  return q.has("proposal") ? <ProposalPage hash={q.get("proposal")!} mayEdit={mayEdit} /> : <HomePage />;
};

open(page, watchAsked);
