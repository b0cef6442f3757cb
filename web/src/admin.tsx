// The pages of whoever sets ringfence up: the first steps, and what is
// configured. Both are loaded on their own, so the console stays small.

import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { get, post, Refused } from "./api";
import { phone, start } from "./live";
import { attempt, Bar, tell } from "./parts";
import { StartPage } from "./start";
import { SystemPage } from "./system";
import { TITLES } from "./titles";
import type { Me } from "./types";

const me = signal<Me | null>(null);
const here = location.pathname.split("/")[1] ?? "";

function Header() {
  const m = me.value!;
  return (
    <header class="top">
      <span class="brand">ringfence</span>
      <nav aria-label="Pages">{m.pages.map((p) => <a href={`/${p}`} aria-current={p === here ? "page" : undefined}>{TITLES[p] ?? p}</a>)}</nav>
      <span class="me"><bdi>{m.name}</bdi> <span class="aside">({m.roles.join(", ")})</span></span>
      <button type="button" class="quiet" onClick={() => attempt(async () => { await post("/v1/logout"); location.assign("/login"); })}>Sign out</button>
    </header>
  );
}

// Phone: the first call rings on the page of the first steps as well.
function Phone() {
  const host = useRef<HTMLElement>(null);
  const has = !!phone.value;
  useEffect(() => {
    if (has) void attempt(async () => (await import("/assets/softphone.js" as string)).start(host.current, { post, tell, attempt, phone }));
  }, [has]);
  return has ? <section class="phone" aria-label="Phone" ref={host} /> : null;
}

function App() {
  if (!me.value) return null;
  return (
    <>
      <a class="skip" href="#content">Skip to content</a>
      <Header />
      {here === "start" && <Phone />}
      <div id="content" tabIndex={-1}>{here === "start" ? <StartPage me={me.value} /> : <SystemPage me={me.value} />}</div>
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

async function begin() {
  try {
    me.value = await get<Me>("/v1/me");
  } catch (e) {
    if (e instanceof Refused && e.kind === "unauthenticated") return location.assign("/login");
    tell("The server cannot be reached. Trying again.", true);
    setTimeout(begin, 2000);
    return;
  }
  if (here === "start") start();
}

void begin();
render(<App />, document.getElementById("app")!);
