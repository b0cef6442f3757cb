// Small pieces that several pages use.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { Refused } from "./api";
import type { Tri } from "./types";
import { triWord } from "./words";

// spoken is what a screen reader is told, and what stands in the bar below.
export const spoken = signal<{ text: string; bad: boolean } | null>(null);
let clearing: ReturnType<typeof setTimeout> | undefined;

export function tell(text: string, bad = false) {
  clearTimeout(clearing);
  spoken.value = { text, bad };
  clearing = setTimeout(() => { spoken.value = null; }, 8000);
}

// attempt runs a command and tells what came of it if it was refused.
export async function attempt<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (e) {
    if (e instanceof Refused && e.kind === "unauthenticated") location.assign("/login");
    tell(e instanceof Refused ? [e.message, e.problem.next].filter(Boolean).join(" ") : "Something went wrong on this page.", true);
    return undefined;
  }
}

export function Bar() {
  const s = spoken.value;
  return <div class={`bar ${s?.bad ? "bad" : ""}`} role="status" aria-live="polite">{s?.text ?? ""}</div>;
}

export const Pill = ({ how, children }: { how: "ok" | "warn" | "bad" | "plain"; children: ComponentChildren }) => <span class={`pill ${how}`}>{children}</span>;

export const TriPill = ({ good }: { good: Tri }) => <Pill how={good === "yes" ? "ok" : good === "no" ? "bad" : "plain"}>{triWord(good)}</Pill>;

// Button never uses the attribute disabled: what cannot be done now can still
// be reached by keyboard, and says why.
export function Button({ why, act, main, stop, quiet, children, id }: {
  why?: string; act: () => void; main?: boolean; stop?: boolean; quiet?: boolean; children: ComponentChildren; id?: string;
}) {
  const names = [main && "main", stop && "stop", quiet && "quiet"].filter(Boolean).join(" ");
  return (
    <button id={id} type="button" class={names} aria-disabled={why ? "true" : undefined} title={why}
      onClick={() => { if (why) tell(why); else act(); }}>{children}</button>
  );
}

export function Panel({ title, live, children, side, at = "" }: { title: string; live?: boolean; at?: string; side?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class={`panel ${at}`} aria-label={title}>
      <header><h2>{title}</h2>{live && <span class="dot" aria-hidden="true" />}{side}</header>
      {children}
    </section>
  );
}

// Stay takes the focus when what had it inside goes away, so that somebody
// without a mouse stays where they were.
export function Stay({ at, children }: { at: string; children: ComponentChildren }) {
  const host = useRef<HTMLDivElement>(null);
  const had = useRef(false);
  useEffect(() => {
    if (had.current && document.activeElement === document.body) host.current!.focus({ preventScroll: true });
  });
  return (
    <div class={at} ref={host} tabIndex={-1} onFocusIn={() => { had.current = true; }}
      onFocusOut={(e) => { const left = e.target as Node; queueMicrotask(() => { if (left.isConnected) had.current = false; }); }}>{children}</div>
  );
}
