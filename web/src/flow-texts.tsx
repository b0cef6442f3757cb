// What callers hear, language by language: translations, recordings, and how
// they sound.

import { useEffect, useState } from "preact/hooks";
import { post } from "./api";
import { attempt, Button, Pill, tell } from "./parts";
import type { Draft, Place, Row, Set, Strings } from "./flow-types";

const STATE: Record<Row["state"], [string, "ok" | "warn" | "bad" | "plain"]> = {
  done: ["Done", "ok"], missing: ["Missing", "bad"], differs: ["Differs", "bad"], stale: ["Stale", "warn"], own: ["As written", "plain"],
};

// sound plays a WAV file without a media element, which the content policy
// would have to allow.
let context: AudioContext | undefined;
export async function sound(base64: string) {
  context ??= new AudioContext();
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const source = context.createBufferSource();
  source.buffer = await context.decodeAudioData(bytes.buffer);
  source.connect(context.destination);
  source.start();
}

export function TextsView({ set, draft, version, open, write, saved }: {
  set: Set; draft?: Draft; version: () => Promise<number | undefined>; open: (at: Place) => void; write: (file: string, text: string) => void; saved: (d: Draft) => void;
}) {
  const [lang, setLang] = useState("");
  const [all, setAll] = useState<Strings | null>(null);
  const [only, setOnly] = useState(false);
  const load = (language: string) => attempt(async () => {
    const got = await post<Strings>("/v1/flows/strings", { set, language: language || "en" });
    const want = language || got.languages.find((l) => l !== "en") || "en";
    setAll(want === (language || "en") ? got : await post<Strings>("/v1/flows/strings", { set, language: want }));
    setLang(want);
  });
  useEffect(() => { void load(lang); }, [JSON.stringify(set)]);
  if (!all) return null;
  const change = (row: Row, said: string, audio: string[]) => attempt(async () => {
    const got = await post<{ file: string; text: string }>("/v1/flows/strings/set", { set, language: lang, source: row.source, said, audio });
    write(got.file, got.text);
    tell(said || audio.length ? "Written. It is kept with the draft." : "Taken out.");
  });
  const work = (r: Row) => ["missing", "differs", "stale"].indexOf(r.state) + 1 || 9;
  const shown = all.strings.filter((r) => !only || work(r) < 9).sort((a, b) => work(a) - work(b)); // what needs work comes first
  const open1 = all.strings.filter((r) => r.state === "missing" || r.state === "differs").length;
  const stale = all.strings.filter((r) => r.state === "stale").length;
  return (
    <div class="texts">
      <div class="form">
        <div><label for="t-lang">Language</label><select id="t-lang" value={lang} onChange={(e) => load(e.currentTarget.value)}>{all.languages.map((l) => <option>{l}</option>)}</select></div>
        <label class="check"><input type="checkbox" checked={only} onChange={(e) => setOnly(e.currentTarget.checked)} /> Only what needs work</label>
      </div>
      <p class="pills"><Pill how="plain">{all.strings.length} texts</Pill><Pill how={open1 ? "bad" : "ok"}>{open1} missing</Pill><Pill how={stale ? "warn" : "ok"}>{stale} stale</Pill></p>
      {shown.length === 0 && <p class="aside">Nothing needs work in this language.</p>}
      <ul class="rows">
        {shown.map((r) => <TextRow key={lang + r.source} row={r} lang={lang} set={set} draft={draft} version={version} open={open} change={change} saved={(d) => { saved(d); void load(lang); }} />)}
      </ul>
    </div>
  );
}

function TextRow({ row, lang, set, draft, version, open, change, saved }: {
  row: Row; lang: string; set: Set; draft?: Draft; version: () => Promise<number | undefined>; open: (at: Place) => void; change: (r: Row, said: string, audio: string[]) => void; saved: (d: Draft) => void;
}) {
  const [said, setSaid] = useState(row.said);
  useEffect(() => setSaid(row.said), [row.said]);
  const [says, how] = STATE[row.state];
  const id = `s-${row.file}-${row.line}-${lang}`;
  const hear = () => attempt(async () => {
    if (row.audio.length) {
      for (const name of row.audio) await sound((await post<{ wav: string }>("/v1/flows/hear", { set, path: `audio/${name}` })).wav);
    } else {
      await sound((await post<{ wav: string }>("/v1/flows/speak", { language: lang, text: said || row.source })).wav);
    }
  });
  const upload = (e: Event) => attempt(async () => {
    const input = e.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (!file || !draft) return;
    if (file.size > 2 * 1024 * 1024) return tell("The recording is larger than 2 MiB. Cut it, or save it at 16 kHz.", true);
    const name = `${lang}/${file.name.toLowerCase().replace(/\.wav$/, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|-+$/g, "").slice(0, 60) || "recording"}.wav`;
    const bytes = new Uint8Array(await file.arrayBuffer());
    let text = "";
    for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
    const at = await version();
    if (at === undefined) return;
    const got = await post<{ draft: Draft; seconds: number }>(`/v1/flows/drafts/${draft.id}/audio`, { version: at, path: `audio/${name}`, wav: btoa(text) });
    saved(got.draft);
    change(row, row.state === "own" ? "" : said, [name]);
    input.value = "";
  });
  return (
    <li class="text">
      <div>
        <p><strong>{row.source}</strong></p>
        <p class="aside">{row.file && <button type="button" class="at" onClick={() => open(row)}>{row.file}:{row.line}</button>} {row.leads && "A caller is led by it to key a code or say yes: a change counts as looser."} {row.hint}</p>
        {row.state !== "own" && <><label class="hidden" for={id}>In {lang}: {row.source}</label><textarea id={id} rows={2} maxLength={1000} lang={lang} value={said} readOnly={!draft} onInput={(e) => setSaid(e.currentTarget.value)} /></>}
        <div class="go">
          {draft && row.state !== "own" && said !== row.said && <Button main act={() => change(row, said, row.audio)}>Write it</Button>}
          {draft && row.state === "stale" && <Button act={() => change(row, "", [])}>Take it out</Button>}
          <Button quiet act={hear}>{row.audio.length ? "Hear the recording" : "Hear it"}</Button>
          {draft && row.state !== "stale" && <label class="upload quiet">Upload a recording<input type="file" class="hidden" accept=".wav,audio/wav" onChange={upload} /></label>}
          {row.audio.length > 0 && <span class="aside">{row.audio.join(", ")}</span>}
          {draft && row.audio.length > 0 && <Button quiet act={() => change(row, row.state === "own" ? "" : row.said, [])}>Without the recording</Button>}
        </div>
      </div>
      <div class="end"><Pill how={how}>{says}</Pill></div>
    </li>
  );
}
