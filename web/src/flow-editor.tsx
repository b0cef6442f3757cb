// The editor: text left, map and tools right, problems below. A draft saves
// itself; what is in force opens read-only.

import { useEffect, useRef, useState } from "preact/hooks";
import { get, post, Refused } from "./api";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { type Code, type Mark, mount } from "./flow-code";
import { MapView } from "./flow-map";
import { PlayView } from "./flow-play";
import { TestsView } from "./flow-tests";
import { TextsView } from "./flow-texts";
import { ChangesView, WeakestList } from "./flow-changes";
import { ReplayView } from "./flow-replay";
import type { Check, Draft, Gap, Place, Problem, Set, Whole } from "./flow-types";

const CHECK_AFTER = 120; // ms of rest before the server is asked
const SAVE_AFTER = 1500;

const TABS = ["Map", "In words", "Play", "Replay", "Tests", "Texts", "Changes"] as const;
type Tab = (typeof TABS)[number];

export function EditorPage({ draft: id }: { draft?: string }) {
  const [whole, setWhole] = useState<Whole | null>(null);
  const load = () => attempt(async () => {
    if (id) return setWhole(await get<Whole>(`/v1/flows/drafts/${id}`));
    const files = (await get<{ files: Record<string, string> }>("/v1/flows/current")).files;
    setWhole({ draft: { id: "", title: "In force", at: "", version: 0, base: "", behind: false, changed: 0 }, files, audio: [], conflicts: [] });
  });
  useEffect(() => { void load(); }, [id]);
  return whole ? <Editor key={`${whole.draft.id} ${whole.draft.base}`} whole={whole} again={setWhole} /> : <main><h1>Flows</h1></main>;
}

function Editor({ whole, again }: { whole: Whole; again: (w: Whole) => void }) {
  const readOnly = !whole.draft.id;
  const [draft, setDraft] = useState<Draft>(whole.draft);
  const files = useRef({ ...whole.files });
  const [names, setNames] = useState(Object.keys(whole.files).sort());
  const dirty = useRef<Record<string, string>>({});
  const gone = useRef<string[]>([]);
  const [file, setFile] = useState(new URLSearchParams(location.search).get("file") ?? (whole.files["customer-line.yaml"] !== undefined ? "customer-line.yaml" : Object.keys(whole.files).sort()[0] ?? ""));
  const [tab, setTab] = useState<Tab>("Map");
  const [check, setCheck] = useState<Check | null>(null);
  const [map, setMap] = useState<{ check: Check; stale: boolean } | null>(null);
  const [line, setLine] = useState(1);
  const [path, setPath] = useState<Place[]>([]);
  const [gaps, setGaps] = useState<Gap[]>([]);
  const [state, setState] = useState<"saved" | "changed" | "saving" | "stuck">("saved");
  const [beat, setBeat] = useState(0); // grows with each change, so that tools take it in
  const host = useRef<HTMLDivElement>(null);
  const code = useRef<Code | undefined>(undefined);
  const timers = useRef<{ check?: ReturnType<typeof setTimeout>; save?: ReturnType<typeof setTimeout> }>({});
  const asking = useRef(0);
  const shown = useRef(file);
  const here = useRef(draft);
  here.current = draft;
  const saving = useRef<Promise<void> | undefined>(undefined);

  const set = (): Set => ({ ...(readOnly ? {} : { draft: draft.id }), change: { files: { ...dirty.current }, gone: [...gone.current] } });

  const ask = () => {
    const mine = ++asking.current;
    void attempt(async () => {
      const got = await post<Check>("/v1/flows/check", { set: set(), file: shown.current });
      if (mine !== asking.current) return; // somebody typed meanwhile
      setCheck(got);
      setMap((old) => (got.map ? { check: got, stale: false } : old ? { ...old, stale: !got.hash } : null));
    });
  };
  // store sends what is not saved; it is asked for again as long as there is more.
  const store = async () => {
    if (readOnly || state === "stuck") return;
    clearTimeout(timers.current.save);
    await saving.current;
    const send = dirty.current, out = gone.current;
    if (!Object.keys(send).length && !out.length) return;
    setState("saving");
    const work = (async () => {
      try {
        const got = await post<{ draft: Draft }>(`/v1/flows/drafts/${draft.id}/save`, { version: here.current.version, change: { files: send, gone: out } });
        here.current = got.draft;
        setDraft(got.draft);
        for (const k of Object.keys(send)) if (dirty.current[k] === send[k]) delete dirty.current[k];
        gone.current = gone.current.filter((p) => !out.includes(p));
        setState(Object.keys(dirty.current).length ? "changed" : "saved");
      } catch (e) {
        const stuck = e instanceof Refused && e.kind === "conflict";
        setState(stuck ? "stuck" : "changed");
        tell(e instanceof Refused ? e.message : "It could not be saved.", true);
        if (!stuck) timers.current.save = setTimeout(() => void store(), 5000);
      }
    })();
    saving.current = work;
    await work;
    saving.current = undefined;
  };
  const changed = (name: string, text: string) => {
    files.current[name] = text;
    dirty.current[name] = text;
    setState((s) => (s === "stuck" ? s : "changed"));
    setBeat((n) => n + 1);
    clearTimeout(timers.current.check);
    timers.current.check = setTimeout(ask, CHECK_AFTER);
    clearTimeout(timers.current.save);
    timers.current.save = setTimeout(() => void store(), SAVE_AFTER);
  };
  // version saves what is not saved and gives the version that then is.
  const version = async () => {
    await store();
    return Object.keys(dirty.current).length ? undefined : here.current.version;
  };

  useEffect(() => {
    const c = mount(host.current!, (text) => changed(shown.current, text), setLine);
    code.current = c;
    c.show(files.current[file] ?? "", readOnly, `Text of ${file}`);
    ask();
    const leave = (e: BeforeUnloadEvent) => { if (Object.keys(dirty.current).length) { void store(); e.preventDefault(); } };
    const hidden = () => { if (document.visibilityState === "hidden") void store(); };
    addEventListener("beforeunload", leave);
    document.addEventListener("visibilitychange", hidden);
    return () => {
      removeEventListener("beforeunload", leave);
      document.removeEventListener("visibilitychange", hidden);
      clearTimeout(timers.current.check);
      clearTimeout(timers.current.save);
      c.close();
    };
  }, []);
  useEffect(() => {
    const list: Mark[] = [];
    for (const p of path) if (p.file === file) list.push({ line: p.line, col: 1, kind: "path", text: "" });
    for (const g of gaps) if (g.file === file) list.push({ line: g.line, col: 1, kind: "untested", text: `No test takes: ${g.says}` });
    for (const p of check?.problems ?? []) if (p.file === file) list.push({ line: p.line || 1, col: p.col || 1, kind: p.severity === "warning" ? "warning" : "error", text: `${p.code} ${p.message}` });
    code.current?.marks(list);
  }, [check, path, gaps, file]);

  const show = (name: string) => {
    if (files.current[name] === undefined || shown.current === name) return;
    shown.current = name;
    setFile(name);
    setPath((old) => old.filter((p) => p.file === name));
    code.current!.show(files.current[name]!, readOnly, `Text of ${name}`);
    ask();
  };
  const open = (at: Place) => { show(at.file); code.current!.go(at.line || 1, (at as Problem).col || 1); };
  const write = (name: string, text: string) => {
    files.current[name] = text;
    setNames(Object.keys(files.current).sort());
    changed(name, text);
    if (shown.current === name) code.current!.show(text, readOnly, `Text of ${name}`);
  };
  const add = (name: string) => {
    const path = name.endsWith(".yaml") ? name : `${name}.yaml`;
    if (files.current[path] !== undefined) return show(path);
    const flow = path.replace(/\.yaml$/, "").replace(/^tests\//, "");
    write(path, path.startsWith("tests/") ? `test: what it shows\nflow: ${flow}\nexpect:\n  ends: hangup\n` : path.startsWith("prompts/") ? "" : `flow: ${flow}\nabout: What it is for.\nstarts: inbound\nsubject: customer\nlanguage: en\n\nscenes:\n  welcome:\n    - say: Hello.\n    - hangup\n`);
    show(path);
  };
  const drop = () => {
    const name = shown.current;
    delete files.current[name];
    delete dirty.current[name];
    gone.current = [...gone.current, name];
    const rest = Object.keys(files.current).sort();
    setNames(rest);
    show(rest[0]!);
    setState("changed");
    void store();
  };
  const takeUp = () => attempt(async () => {
    if ((await version()) === undefined) return;
    const got = await post<Whole>(`/v1/flows/drafts/${draft.id}/take-up`);
    tell(got.conflicts.length ? `Both changed ${got.conflicts.join(", ")}. Your text stays: look at the changes.` : "Taken up.");
    again(got);
  });
  const head = check?.flows.find((f) => f.file === file) ?? map?.check.flows.find((f) => f.file === file);
  const flow = head?.name ?? "";
  const errors = check?.problems.filter((p) => p.severity !== "warning").length ?? 0;
  const lit = { line, path: path.filter((p) => p.file === file).map((p) => p.line) };
  const tools: Record<Tab, () => unknown> = {
    Map: () => (map?.check.map && map.check.flow ? <MapView map={map.check.map} name={map.check.flow} lit={lit} stale={map.stale} open={(l) => code.current!.go(l)} /> : <p class="aside">{file.endsWith(".yaml") && file.includes("/") ? "This file is no flow." : "There is no map before the flow loads."}</p>),
    "In words": () => <Words text={map?.check.reads ?? ""} />,
    Play: () => (flow ? <PlayView set={set()} flow={flow} head={head} seen={(f, l, p) => { if (f === shown.current) { setLine(l); setPath(p.map((n) => ({ file: f, line: n }))); } }}
      keep={(test) => { if (readOnly) return tell("Open a draft to keep a test."); const name = `tests/${flow}.yaml`; const old = files.current[name]; write(name, (old ? old.replace(/\n*$/, "\n---\n") : "") + test); tell(`Kept at the end of ${name}. Say there what it shows.`); }} /> : <p class="aside">Open a flow to play it.</p>),
    Replay: () => <ReplayView set={set()} draft={readOnly ? undefined : draft.id} open={open} seen={setPath} version={version} />,
    Tests: () => <TestsView set={set()} flow={flow} open={open} gaps={setGaps} />,
    Texts: () => <TextsView set={set()} draft={readOnly ? undefined : draft} version={version} open={open} write={write} saved={(d) => { here.current = d; setDraft(d); }} />,
    Changes: () => (readOnly ? <p class="aside">This is what is in force.</p> : <ChangesView set={set()} draft={draft} clean={!!check?.clean} behind={draft.behind} version={version} takeUp={takeUp} />),
  };
  return (
    <main class="editor">
      <div class="title">
        <a href="/flows">Flows</a>
        <h1><bdi>{readOnly ? "What is in force" : draft.title}</bdi></h1>
        <Status state={state} readOnly={readOnly} changed={draft.changed} />
        <span class="grow" />
        <label class="hidden" for="e-file">File</label>
        <select id="e-file" value={file} onChange={(e) => show(e.currentTarget.value)}>
          <Group label="Flows" names={names.filter((n) => !n.includes("/"))} check={check} />
          <Group label="Translations" names={names.filter((n) => n.startsWith("prompts/"))} check={check} />
          <Group label="Tests" names={names.filter((n) => n.startsWith("tests/"))} check={check} />
        </select>
        {!readOnly && <NewFile add={add} drop={file !== "policy.yaml" ? drop : undefined} file={file} />}
      </div>
      {whole.conflicts.length > 0 && <p class="outcome warn">Both you and what is in force now changed {whole.conflicts.join(", ")}. Your text stays; the Changes tab shows what it would undo.</p>}
      <div class="panes">
        <section class="panel code" aria-label="Text"><div ref={host} class="host" /></section>
        <section class="panel tools" aria-label="Tools">
          <div class="tablist" role="tablist" aria-label="Tools" onKeyDown={(e) => arrows(e, tab, setTab)}>
            {TABS.map((t) => <button type="button" role="tab" id={`tab-${t}`} aria-selected={t === tab} aria-controls="tool" tabIndex={t === tab ? 0 : -1} onClick={() => setTab(t)}>{t}</button>)}
          </div>
          <div id="tool" role="tabpanel" tabIndex={0} aria-labelledby={`tab-${tab}`} data-beat={beat}><h2 class="hidden">{tab}</h2>{tools[tab]() as any}</div>
        </section>
      </div>
      <div class="below">
        <Panel title="Problems" side={<span class="pills" role="status">{!check ? <Pill how="plain">Checking</Pill> : errors ? <Pill how="bad">{errors} to mend</Pill> : check.clean ? <Pill how="ok">Every property is proved</Pill> : <Pill how="warn">Not proved</Pill>}</span>}>
          {check && check.problems.length === 0 && <p class="aside">None. {check.states} states explored in {check.lines} lines; checked in {check.took_ms.toFixed(0)} ms.</p>}
          <ul class="problems">
            {check?.problems.slice(0, 60).map((p) => <ProblemRow key={`${p.file}:${p.line}:${p.col}:${p.code}:${p.message}`} p={p} open={open} paste={readOnly ? undefined : (text) => { show(p.file); code.current!.paste(p.line, text); }} path={setPath}
              keep={readOnly ? undefined : (test) => { const name = `tests/${p.file.replace(/\.yaml$/, "")}.yaml`; const old = files.current[name]; write(name, (old ? old.replace(/\n*$/, "\n---\n") : "") + test); tell(`Kept at the end of ${name}.`); }} />)}
          </ul>
          {check && check.problems.length > 60 && <p class="aside">And {check.problems.length - 60} more.</p>}
        </Panel>
        <Panel title="Weakest call to each release">
          {check && !check.hash ? <p class="aside">Not known before the flows load.</p> : check && <WeakestList list={check.weakest.filter((w) => !flow || w.path.some((p) => p.file === file) || w.file === file)} show={(w) => setPath(w.path)} />}
        </Panel>
      </div>
    </main>
  );
}

function arrows(e: KeyboardEvent, tab: Tab, setTab: (t: Tab) => void) {
  const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
  if (!step) return;
  const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length]!;
  setTab(next);
  document.getElementById(`tab-${next}`)?.focus();
}

const Status = ({ state, readOnly, changed }: { state: string; readOnly: boolean; changed: number }) => (
  <span class="aside" role="status">{readOnly ? "Read only" : state === "saved" ? `Saved, ${changed} ${changed === 1 ? "file" : "files"} changed` : state === "saving" ? "Saving" : state === "stuck" ? "Not saved: the draft was saved elsewhere. Copy your text and open it again." : "Not saved yet"}</span>
);

function Group({ label, names, check }: { label: string; names: string[]; check: Check | null }) {
  const bad = (n: string) => check?.problems.some((p) => p.file === n && p.severity !== "warning");
  return <optgroup label={label}>{names.map((n) => <option value={n}>{bad(n) ? "● " : ""}{n}</option>)}</optgroup>;
}

function NewFile({ add, drop, file }: { add: (name: string) => void; drop?: () => void; file: string }) {
  const [name, setName] = useState("");
  return (
    <details class="menu">
      <summary>File</summary>
      <form onSubmit={(e) => { e.preventDefault(); if (/^((tests|prompts)\/)?[a-z0-9][a-zA-Z0-9_-]{0,62}(\.yaml)?$/.test(name)) { add(name); setName(""); (e.currentTarget.closest("details") as HTMLDetailsElement).open = false; } else tell("Small letters, digits, - and _; tests under tests/, translations under prompts/."); }}>
        <label for="e-new">New file</label>
        <input id="e-new" value={name} maxLength={80} autocomplete="off" placeholder="late-line or tests/late-line" onInput={(e) => setName(e.currentTarget.value)} />
        <div class="go"><button type="submit">Make it</button>{drop && <Button stop act={drop}>Take {file} out</Button>}</div>
      </form>
    </details>
  );
}

// Words shows the flow as people read it aloud.
function Words({ text }: { text: string }) {
  if (!text) return <p class="aside">There is nothing to read before the flow loads.</p>;
  return <div class="words">{text.trim().split("\n").filter(Boolean).map((line, i) => { const [head, ...rest] = line.split(". "); return i < 1 ? <h3>{line}</h3> : i < 3 || !rest.length ? <p>{line}</p> : <p><strong>{head}.</strong> {rest.join(". ")}</p>; })}</div>;
}

const pasteable = (hint: string) => /^(- )?[\w".*#-]+: ?\S/.test(hint);

function ProblemRow({ p, open, paste, path, keep }: { p: Problem; open: (at: Place) => void; paste?: (text: string) => void; path: (list: Place[]) => void; keep?: (test: string) => void }) {
  return (
    <li class={p.severity}>
      <button type="button" class="at" onClick={() => open(p)}>{p.file}:{p.line}:{p.col}</button> <span class="code">{p.code}</span> <span>{p.message}</span>
      {p.hint && <span class="hint"> {pasteable(p.hint) ? <><code>{p.hint.replaceAll("\\n", "\n")}</code>{paste && p.line > 0 && p.code !== "T1" && <Button quiet act={() => paste(p.hint!)}>Paste below the line</Button>}</> : <em>{p.hint}</em>}</span>}
      {p.play && (
        <details onToggle={(e) => path((e.currentTarget as HTMLDetailsElement).open ? p.path ?? [] : [])}>
          <summary>A call that does it</summary>
          <pre tabIndex={0}>{p.play}</pre>
          {p.test && keep && <Button quiet act={() => keep(p.test!)}>Keep as a flow test</Button>}
        </details>
      )}
    </li>
  );
}
