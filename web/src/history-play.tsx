// Recordings of a call: heard for a reason that is written down first, with the
// stretches that are not in them.

import { useEffect, useRef, useState } from "preact/hooks";
import { get, post } from "./api";
import { attempt, Button, Panel, Pill, tell } from "./parts";
import { day, minutes } from "./history-words";
import { me } from "./shell";
import { bare } from "./words";
import type { Gap, Recording } from "./history-types";

const WHY: Record<Gap["why"], string> = { secret: "a secret was keyed or spoken", lost: "lost: we or the disk were too slow" };

export function Recordings({ call }: { call: string }) {
  const [all, setAll] = useState<Recording[] | null>(null);
  useEffect(() => { void attempt(async () => setAll((await get<{ recordings: Recording[] }>(`/v1/recordings?traversal=${call}`)).recordings)); }, []);
  if (!all) return null;
  if (all.length === 0) return <Panel title="Recording"><p class="aside">This call was not recorded.</p></Panel>;
  return <>{all.map((r) => <One r={r} />)}</>;
}

const examines = () => me.value!.roles.some((r) => r === "risk" || r === "auditor");

function One({ r }: { r: Recording }) {
  const [reason, setReason] = useState("");
  const [audio, setAudio] = useState("");
  const grant = (how: "play" | "export") => attempt(async () => {
    const got = await post<{ audio: string }>(`/v1/recordings/${r.id}/${how}`, { reason });
    if (how === "play") return setAudio(got.audio);
    location.assign(got.audio); // an attachment: the page stays
    tell("It is written down that you took this recording away.");
  });
  const why = reason.trim().length < 3 ? "Say first why you listen. It stands in the log." : r.state === "live" ? "It is still being made." : undefined;
  return (
    <Panel title="Recording" side={<span class="pills">{r.state !== "kept" && <Pill how={r.state === "live" ? "ok" : "warn"}>{r.state}</Pill>}{r.hold && <Pill how="warn">Legal hold</Pill>}<span class="aside">{minutes(r.ms)}</span></span>}>
      {r.why && <p class="aside">{r.why}</p>}
      <GapBar r={r} />
      {audio ? <Player r={r} audio={audio} /> : r.state !== "deleted" && (
        <form class="inline" onSubmit={(e) => { e.preventDefault(); if (why) tell(why); else void grant("play"); }}>
          <label for={`why-${r.id}`}>Why you listen (stands in the log under your name)</label>
          <input id={`why-${r.id}`} value={reason} maxLength={300} autocomplete="off" onInput={(e) => setReason(e.currentTarget.value)} />
          <button type="submit" class="main" aria-disabled={why ? "true" : undefined}>Listen</button>
        </form>
      )}
      {examines() && !audio && r.state === "kept" && <div class="go"><Button why={why} act={() => grant("export")}>Take it away</Button></div>}
      <p class="aside">Kept at least till {day(r.until)} ({r.class}). {r.hold && <>Held: <bdi>{bare(r.hold)}</bdi>. </>}{r.sha256 && <>SHA-256 of the encrypted file {r.sha256.slice(0, 16)}…, in full in the log.</>}</p>
    </Panel>
  );
}

function GapBar({ r }: { r: Recording }) {
  const ms = Math.max(1, r.ms);
  return (
    <>
      <svg class="gaps" viewBox="0 0 1000 16" preserveAspectRatio="none" role="img" aria-label={`${minutes(r.ms)} of recording with ${r.gaps.length} gaps`}>
        <rect class="kept" x={0} y={0} width={1000} height={16} />
        {r.gaps.map((g) => <rect class={g.why} x={(g.from_ms / ms) * 1000} y={0} width={Math.max(3, (g.ms / ms) * 1000)} height={16} />)}
      </svg>
      {r.gaps.length > 0 && <ul class="gap-list">{r.gaps.map((g) => <li><span class={`key ${g.why}`} aria-hidden="true" />{minutes(g.from_ms)} to {minutes(g.from_ms + g.ms)}: {WHY[g.why]}</li>)}</ul>}
    </>
  );
}

function Player({ r, audio }: { r: Recording; audio: string }) {
  const sound = useRef<HTMLAudioElement>(null);
  const [at, setAt] = useState(0);
  const [plays, setPlays] = useState(false);
  const seconds = r.ms / 1000;
  const gap = r.gaps.find((g) => at * 1000 >= g.from_ms && at * 1000 < g.from_ms + g.ms);
  const jump = (to: number) => { if (sound.current) sound.current.currentTime = Math.min(Math.max(0, to), seconds); };
  return (
    <div class="player">
      <audio ref={sound} src={audio} preload="auto" onTimeUpdate={(e) => setAt(e.currentTarget.currentTime)} onPlay={() => setPlays(true)} onPause={() => setPlays(false)}
        onError={() => tell("The recording cannot be played. It may be damaged, or your ten minutes are over: load the page again.", true)} />
      <div class="go">
        <button type="button" class="main" onClick={() => { if (plays) sound.current?.pause(); else void sound.current?.play().catch(() => {}); }}>{plays ? "Pause" : "Play"}</button>
        <Button act={() => jump(at - 10)}>10 s back</Button>
        <Button act={() => jump(r.gaps.find((g) => g.from_ms / 1000 > at)?.from_ms! / 1000 || seconds)} why={r.gaps.some((g) => g.from_ms / 1000 > at) ? undefined : "There is no later gap."}>Next gap</Button>
      </div>
      <input type="range" min={0} max={seconds} step={0.1} value={at} aria-label="Place in the recording" aria-valuetext={`${minutes(at * 1000)} of ${minutes(r.ms)}`} onInput={(e) => jump(Number(e.currentTarget.value))} />
      <p role="status">{minutes(at * 1000)} of {minutes(r.ms)}{gap && <> · <strong>Gap: {WHY[gap.why]}</strong></>}</p>
      <p class="aside">The caller is left, what the caller heard is right.</p>
    </div>
  );
}
