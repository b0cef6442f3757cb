// What every page of the staff listener has around it: the top line, the bar of
// the softphone, what just happened, and a session that is kept while somebody
// works.

import { render } from "preact";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { get, post, Refused } from "./api";
import { alarms, link, phone, start, waiting } from "./live";
import { attempt, Bar, tell } from "./parts";
import { Presence } from "./presence";
import { TITLES } from "./titles";
import type { Me } from "./types";

export const me = signal<Me | null>(null);
export const here = () => location.pathname.split("/")[1] || me.value!.pages[0]!;

function Header() {
  const m = me.value!;
  const now = here();
  return (
    <header class="top">
      <span class="brand">ringfence</span>
      <nav aria-label="Pages">{m.pages.map((p) => <a href={`/${p}`} aria-current={p === now ? "page" : undefined}>{TITLES[p] ?? p}<Count n={p === "approvals" ? waiting.value : p === "alerts" ? alarms.value.open : 0} of={p === "alerts" ? "open" : "waiting for you"} /></a>)}</nav>
      <span class="me"><bdi>{m.name}</bdi> <span class="aside">({m.roles.join(", ")})</span></span>
      {m.roles.some((r) => r === "agent" || r === "supervisor") && <Presence />}
      <Badge />
      <button type="button" class="quiet" onClick={() => attempt(async () => { await post("/v1/logout"); location.assign("/login"); })}>Sign out</button>
    </header>
  );
}

const Count = ({ n, of }: { n: number; of: string }) => (n > 0 ? <span class={`count ${of === "open" ? "bad" : ""}`}>{n > 99 ? "99+" : n}<span class="hidden"> {of}</span></span> : null);

// Phone is the bar of the softphone, for those who have one.
function Phone() {
  const host = useRef<HTMLElement>(null);
  const has = !!phone.value;
  useEffect(() => {
    if (has) void attempt(async () => (await import("/assets/softphone.js" as string)).start(host.current, { post, tell, attempt, phone }));
  }, [has]);
  return has ? <section class="phone" aria-label="Phone" ref={host} /> : null;
}

const Badge = () => <span class={`badge ${link.value}`} role="status"><span>{link.value === "live" ? "Live" : link.value === "connecting" ? "Connecting" : "Reconnecting"}</span></span>;

function App({ page }: { page: () => ComponentChildren }) {
  if (!me.value) return null;
  return (
    <>
      <a class="skip" href="#content">Skip to content</a>
      <Header />
      <Phone />
      <div id="content" tabIndex={-1}>{page()}</div>
      <Bar />
    </>
  );
}

// Somebody who works is not idle: tell the server, at most once a minute.
let touched = Date.now();
for (const kind of ["keydown", "pointerdown"]) {
  addEventListener(kind, () => {
    if (Date.now() - touched < 60_000) return;
    touched = Date.now();
    post("/v1/session/touch").catch(() => {});
  });
}

// open shows a page once it is known who looks at it.
export function open(page: () => ComponentChildren, ready: () => void) {
  const begin = async () => {
    try {
      me.value = await get<Me>("/v1/me");
    } catch (e) {
      if (e instanceof Refused && e.kind === "unauthenticated") return location.assign("/login");
      tell("The server cannot be reached. Trying again.", true);
      setTimeout(begin, 2000);
      return;
    }
    start();
    ready();
  };
  void begin();
  render(<App page={page} />, document.getElementById("app")!);
}
