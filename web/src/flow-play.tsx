// Play a flow without a telephone: keys, silence, hang-up, a made-up world. The
// server plays all moves anew each time, so one can take any of them back.

import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "./api";
import { attempt, Button, tell } from "./parts";
import type { Head, Play, Set, Step, Value } from "./flow-types";

const WORLD: { key: string; says: string; options: [string, string][] }[] = [
  { key: "call.attestation", says: "Call signature", options: [["A", "A: the number is theirs"], ["B", "B: the customer is known"], ["C", "C: passed on"], ["none", "none"], ["failed", "failed"]] },
  { key: "call.number", says: "Number shown is on file", options: [["yes", "yes"], ["no", "no"]] },
  { key: "passkey", says: "Passkey", options: [["set", "has one"], ["none", "has none"]] },
  { key: "totp", says: "Authenticator app", options: [["set", "has one"], ["none", "has none"]] },
  { key: "mobile", says: "Mobile on file", options: [["answers", "answers"], ["busy", "busy"], ["silent", "does not answer"], ["diverted", "diverted"], ["robot", "an answering machine"]] },
  { key: "gate", says: "Gate", options: [["", "the policy decides"], ["denied", "denies"], ["later", "says later"], ["down", "is down"], ["no_hold", "waives the waiting time"]] },
  { key: "down", says: "Not working", options: [["", "nothing"], ["otp", "SMS"], ["passkey", "passkey page"], ["callback", "call-back"], ["approve", "approvals"], ["connect", "queues"]] },
];

const SAYS: Record<string, string> = {
  "": "Says nothing", "/hang": "Hangs up", "/moved": "Somebody else takes the phone", "/page approves": "Approves on the page", "/page refuses": "“I did not ask for this” on the page",
  "/page wrong": "Keys a wrong code on the page", "/approve": "A colleague agrees", "/refuse": "A colleague refuses", "the code": "Keys the right code", "a wrong code": "Keys a wrong code",
  "the fresh digits and the code": "Keys the two digits and the code", star: "Presses star: did not ask for this", yes: "Presses the yes-key", no: "Presses 2: no",
};
const sayMove = (m: string) => SAYS[m] ?? (m.startsWith("/wait ") ? `Is silent for ${m.slice(6)}` : `Keys ${m}`);

const clock = (s: number) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

export function PlayView({ set, flow, head, seen, keep }: { set: Set; flow: string; head?: Head; seen: (file: string, line: number, path: number[]) => void; keep: (test: string) => void }) {
  const [world, setWorld] = useState<Record<string, string>>({});
  const [moves, setMoves] = useState<string[]>([]);
  const [keys, setKeys] = useState("");
  const [play, setPlay] = useState<Play | null>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => { if (chosen === null) list.current?.scrollTo({ top: list.current.scrollHeight }); }, [play]);
  const settings = Object.entries(world).filter(([, v]) => v).map(([k, v]) => `${k}=${v}`);
  useEffect(() => { setMoves([]); setPlay(null); }, [flow]);
  const run = (next: string[], how = settings) => attempt(async () => {
    const got = await post<Play>("/v1/flows/simulate", { set, flow, world: how, moves: next });
    setPlay(got);
    setMoves(next);
    setChosen(null);
    if (got.note) tell(got.note);
    const last = got.steps.findLast((s) => s.line);
    if (last) seen(last.file!, last.line!, got.steps.filter((s) => s.line && s.file === last.file).map((s) => s.line!));
  });
  const act = (move: string) => { setKeys(""); void run([...moves, move]); };
  const at = play ? (chosen ?? play.steps.length - 1) : -1;
  const values = play ? valuesAt(play.steps, at) : [];
  if (head?.starts === "callback") return <p>This flow starts when somebody answers a call-back. Play the flow that rings it.</p>;
  return (
    <div class="play">
      <details>
        <summary>The made-up world{settings.length > 0 && `: ${settings.join(", ")}`}</summary>
        <div class="form">
          {WORLD.map((w) => (
            <div><label for={`w-${w.key}`}>{w.says}</label>
              <select id={`w-${w.key}`} value={world[w.key] ?? w.options[0]![0]} onChange={(e) => setWorld({ ...world, [w.key]: e.currentTarget.value === w.options[0]![0] ? "" : e.currentTarget.value })}>
                {w.options.map(([v, says]) => <option value={v}>{says}</option>)}
              </select></div>
          ))}
          {head && head.translations.length > 0 && <div><label for="w-language">Language</label><select id="w-language" value={world["language"] ?? ""} onChange={(e) => setWorld({ ...world, language: e.currentTarget.value })}><option value="">as written</option>{head.translations.map((t) => <option>{t}</option>)}</select></div>}
        </div>
      </details>
      <div class="go">
        <Button main={!play} act={() => run([])}>{play ? "Start again" : "Start the call"}</Button>
        {moves.length > 0 && <Button quiet act={() => run(moves.slice(0, -1))}>Take the last move back</Button>}
        {play && moves.length > 0 && <Button quiet act={() => keep(play.test)}>Keep as a flow test</Button>}
      </div>
      {play && (
        <div class="stage">
          <ol ref={list} class="steps" tabIndex={0} aria-label="What happens">
            {play.steps.map((s, i) => s.what && (
              <li class={`${cast(s.what)} ${i === at ? "chosen" : ""}`}>
                <button type="button" class="quiet" aria-pressed={i === at} onClick={() => { setChosen(i); if (s.line) seen(s.file!, s.line, []); }}>
                  <time>{clock(s.at)}</time><span class="by">{speaker(s)}</span><span>{words(s.what)}</span>
                </button>
              </li>
            ))}
            {play.ended && <li class="end">The call ends: {ending(play.ends)}.</li>}
          </ol>
          <div class="knows">
            <h3>What the flow knows {chosen === null ? "now" : "then"}</h3>
            {values.length === 0 ? <p class="aside">Nothing yet.</p> : <dl>{values.map((v) => <div><dt>{v.name.replaceAll("_", " ")}</dt><dd>{v.name === "proved" ? v.value.replaceAll("_", " ") : v.value}</dd></div>)}</dl>}
          </div>
        </div>
      )}
      {play && !play.ended && (
        <div class="moves" role="group" aria-label={`What ${play.leg === "call" ? "the caller" : play.leg} does now`}>
          <h3>{play.leg === "call" ? "The caller" : upper(play.leg ?? "")}</h3>
          <div class="go">
            {play.options.map((o, i) => <Button main={i === 0 && o !== ""} act={() => act(o)}>{sayMove(o)}</Button>)}
            <Button act={() => act("/wait 20s")}>Is silent for 20 s</Button>
          </div>
          <form class="inline" onSubmit={(e) => { e.preventDefault(); act(keys); }}>
            <label for="p-keys">Keys pressed</label>
            <input id="p-keys" value={keys} maxLength={40} autocomplete="off" inputMode="tel" onInput={(e) => setKeys(e.currentTarget.value)} />
            <button type="submit">Press</button>
          </form>
        </div>
      )}
    </div>
  );
}

const upper = (s: string) => s.charAt(0).toUpperCase() + s.slice(1);
const cast = (what: string) => (what.startsWith("hears: ") ? "hears" : what.startsWith("keys: ") || what.startsWith("hangs up") || what.startsWith("is silent") || what.startsWith("page: ") ? "acts" : what.startsWith("ALERT") || what.startsWith("GUARD") || what.startsWith("FAULT") ? "bad" : what.startsWith("proved") ? "good" : "");
const speaker = (s: Step) => (s.what!.startsWith("hears: ") ? "Line" : !s.leg ? "" : s.leg === "call" ? "Caller" : upper(s.leg));
const words = (what: string) => what.replace(/^hears: /, "").replace(/^keys: /, "keys ").replace(/^ALERT /, "alarm: ").replace(/^proved: /, "proved: ").replace(/^\((.*)\)$/, "outcome: $1");
const ending = (ends = "") => (ends === "hangup" ? "the line hangs up" : ends === "gone" ? "the caller has gone" : ends.replaceAll("_", " "));

function valuesAt(steps: Step[], at: number): Value[] {
  for (let i = at; i >= 0; i--) if (steps[i]?.values) return steps[i]!.values!;
  return [];
}
