// What changed, in words and as text, and the signatures that let it go live.

import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { NotDone, use } from "./passkey";
import { age, factName } from "./words";
import type { Diff, Draft, Proposal, Set, Share, Signed, Weakest } from "./flow-types";

// sign begins, asks for the passkey and finishes; undefined when no passkey was
// used.
export async function sign(path: string, begin: unknown, finish: Record<string, unknown>): Promise<Signed | undefined> {
  const begun = await post<any>(`${path}/begin`, begin);
  try {
    const signature = { ceremony: begun.ceremony, response: await use(begun.options) };
    return await post<Signed>(`${path}/finish`, { ...finish, signature });
  } catch (e) {
    if (!(e instanceof NotDone)) throw e;
    tell("No passkey was used. Nothing is signed.");
    return undefined;
  }
}

export const shareSays = (s?: Share) => (s?.percent ? `${s.percent} % of the calls` : s?.numbers?.length ? `calls to ${s.numbers.length === 1 ? "one number" : `${s.numbers.length} numbers`}` : "all calls");

export const when = (at: string) => new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export function signedSays(s: Signed) {
  if (!s.done) return s.waiting ?? "Signed. A second person has to sign as well.";
  return s.from && Date.parse(s.from) > Date.now() ? `Signed. It is looser, so it takes effect on ${when(s.from)}.` : "Signed. It holds for new calls now.";
}

export function DiffView({ diff }: { diff: Diff }) {
  const looser = diff.changes.filter((c) => c.looser);
  const other = diff.changes.filter((c) => !c.looser);
  return (
    <div class="diff">
      {!diff.loads && <p class="alert">The flows do not load yet, so only the texts can be compared.</p>}
      {looser.length > 0 && (
        <section aria-label="Looser" class="looser">
          <h3>Looser: less proof is enough, or a text by which callers are led is different</h3>
          <ul>{looser.map((c) => <li><strong>{c.where}</strong> {c.says}</li>)}</ul>
          <p class="aside">Somebody of role risk has to be among those who sign, and it takes effect 24 hours later.</p>
        </section>
      )}
      {diff.loads && looser.length === 0 && diff.files.length > 0 && <p class="outcome ok">Nothing is looser.</p>}
      {other.length > 0 && <section aria-label="In words"><h3>In words</h3><ul class="words">{other.map((c) => <li><strong>{c.where}</strong> {c.says}</li>)}</ul></section>}
      {diff.files.length === 0 && <p class="aside">Nothing is different from what is in force.</p>}
      {diff.files.map((f) => (
        <details open={diff.files.length < 4}>
          <summary>{f.path} <span class="aside">{f.state === "changed" ? `${f.added} ${f.added === 1 ? "line" : "lines"} added, ${f.taken} taken out` : f.state}</span></summary>
          <div class="scroll" tabIndex={0} role="region" aria-label={`Changes of ${f.path}`}>
            <table class="lines"><tbody>
              {f.lines.map((l) => l.kind === "skipped"
                ? <tr class="skipped"><td colSpan={4}>…</td></tr>
                : <tr class={l.kind}><td class="n">{l.old}</td><td class="n">{l.new}</td><td class="sign">{l.kind === "added" ? "+" : l.kind === "taken" ? "−" : ""}<span class="hidden">{l.kind === "added" ? "added" : l.kind === "taken" ? "taken out" : ""}</span></td><td class="t">{l.text}</td></tr>)}
            </tbody></table>
          </div>
        </details>
      ))}
    </div>
  );
}

export function ChangesView({ set, draft, clean, behind, version, takeUp }: { set: Set; draft: Draft; clean: boolean; behind: boolean; version: () => Promise<number | undefined>; takeUp: () => void }) {
  const [diff, setDiff] = useState<Diff | null>(null);
  const [note, setNote] = useState("");
  const [percent, setPercent] = useState("");
  const [asked, setAsked] = useState<Signed | null>(null);
  useEffect(() => { void attempt(async () => setDiff(await post<Diff>("/v1/flows/diff", { set }))); }, [JSON.stringify(set)]);
  const n = Number(percent);
  const why = !clean ? "Mend what stands under Problems first." : behind ? "Take up what came into force meanwhile first." : !diff?.files.length ? "Nothing is changed." : percent && !(n >= 1 && n <= 99) ? "A ramp begins with 1 to 99 percent." : undefined;
  const ask = () => attempt(async () => {
    const at = await version();
    if (at === undefined) return;
    const got = await sign(`/v1/flows/drafts/${draft.id}/ask`, { version: at }, { version: at, note, share: percent ? { percent: n } : {} });
    if (!got) return;
    setAsked(got);
    tell(got.done ? signedSays(got) : "Signed. Now a second person has to look and sign.");
  });
  if (!diff) return null;
  return (
    <div class="changes">
      {behind && <p class="outcome warn">Something else came into force since this draft began. <button type="button" onClick={takeUp}>Take it up</button></p>}
      <DiffView diff={diff} />
      <section class="ask" aria-label="Ask for approval">
        <h3>Ask a second person</h3>
        <div class="form">
          <div><label for="a-note">What they should know</label><input id="a-note" value={note} maxLength={500} autocomplete="off" onInput={(e) => setNote(e.currentTarget.value)} /></div>
          <div><label for="a-percent">Begin with a share of the calls, in percent (empty: all)</label><input id="a-percent" value={percent} inputMode="numeric" maxLength={2} autocomplete="off" onInput={(e) => setPercent(e.currentTarget.value)} /></div>
        </div>
        {asked && !asked.done
          ? <p class="outcome ok">You have signed. It waits for a second person: <a href={`/flows?proposal=${asked.bundle}`}>what they see</a>.</p>
          : <div class="go"><Button main why={why} act={ask}>Sign with a passkey and ask</Button></div>}
      </section>
    </div>
  );
}

export const proofsSay = (w: Weakest) => (w.proofs.length ? w.proofs.map(factName).join(" + ") : "nothing");

// ProposalPage is what the second person sees: what is looser comes first.
export function ProposalPage({ hash, mayEdit }: { hash: string; mayEdit: boolean }) {
  const [p, setP] = useState<Proposal | null>(null);
  const [done, setDone] = useState<Signed | null>(null);
  const load = () => attempt(async () => setP(await get<Proposal>(`/v1/flows/proposals/${hash}`)));
  useEffect(() => { void load(); }, [hash]);
  if (!p) return <main><h1>Proposal</h1></main>;
  const agree = () => attempt(async () => {
    const got = await sign(`/v1/flows/proposals/${hash}`, undefined, {});
    if (!got) return;
    setDone(got);
    tell(signedSays(got));
    if (!got.done) await load(); // what is done is proposed no more
  });
  const why = !mayEdit ? "Your role may only read." : p.mine && !done ? "You have signed. Another person has to." : done?.done ? "It is signed." : undefined;
  return (
    <main class="proposal">
      <p><a href="/flows">Flows</a></p>
      <h1><bdi>{p.title || "Proposal"}</bdi></h1>
      <Panel title={`Asked by ${p.by}, ${age(p.at, Date.now())}`} side={<span class="pills"><Pill how={p.diff.looser ? "bad" : "ok"}>{p.diff.looser ? "Looser" : "Not looser"}</Pill><Pill how={done?.done ? "ok" : "warn"}>{done?.done ? "Signed" : `${p.signed.length} of 2 signed`}</Pill></span>}>
        {p.note && <p><bdi>{p.note}</bdi></p>}
        <p>For {shareSays(p.share)}. {p.check.clean ? `Every property is proved (${p.check.states} states).` : "Not every property is proved."} {p.failed.length ? `${p.failed.length} of ${p.tests} tests fail.` : `All ${p.tests} tests pass.`}</p>
        {p.failed.length > 0 && <ul class="faults">{p.failed.map((t) => <li class="bad">{t.name}: {t.problems[0]?.message}</li>)}</ul>}
        <p class="aside">Bundle <code>{p.bundle}</code>{p.signed.length > 0 && <> · signed by {p.signed.join(" and ")}</>}</p>
        {done && <p class="outcome ok">{signedSays(done)}</p>}
        {!done?.done && <div class="go"><Button main why={why} act={agree}>Sign with a passkey</Button></div>}
      </Panel>
      <Panel title="What changes"><DiffView diff={p.diff} /></Panel>
      <Panel title="Weakest call to each release"><WeakestList list={p.check.weakest} /></Panel>
    </main>
  );
}

export function WeakestList({ list, show }: { list: Weakest[]; show?: (w: Weakest) => void }) {
  if (!list.length) return <p class="aside">Nothing is released by these flows.</p>;
  return (
    <ul class="weakest">
      {list.map((w) => (
        <li>
          <details onToggle={(e) => { if ((e.currentTarget as HTMLDetailsElement).open) show?.(w); }}>
            <summary><span class="cls">{w.class}</span> <strong>{w.action.replaceAll("_", " ")}</strong> <span>{proofsSay(w)}</span> <span class="aside">{w.file}:{w.line}</span></summary>
            <pre tabIndex={0}>{w.play}</pre>
          </details>
        </li>
      ))}
    </ul>
  );
}
