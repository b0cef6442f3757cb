import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { get, post, Refused } from "./api";
import { ApprovalsPage, watchAsked } from "./approvals";
import { BoardPage } from "./board";
import { CallView, pressure } from "./call";
import { ImportPage } from "./import";
import { PeoplePage } from "./people";
import { RecordsPage } from "./records";
import { calls, link, now, phone, start, waiting } from "./live";
import { attempt, Bar, Panel, tell } from "./parts";
import { TITLES } from "./titles";
import { lasts, stateName } from "./words";
import type { Me } from "./types";

const me = signal<Me | null>(null);
const selected = signal("");

function Header() {
  const m = me.value!;
  const here = location.pathname.split("/")[1] || m.pages[0];
  return (
    <header class="top">
      <span class="brand">ringfence</span>
      <nav aria-label="Pages">{m.pages.map((p) => <a href={`/${p}`} aria-current={p === here ? "page" : undefined}>{TITLES[p] ?? p}{p === "approvals" && waiting.value > 0 && <span class="count">{waiting.value}<span class="hidden"> waiting for you</span></span>}</a>)}</nav>
      <span class="me"><bdi>{m.name}</bdi> <span class="aside">({m.roles.join(", ")})</span></span>
      {m.roles.some((r) => r === "agent" || r === "supervisor") && <Ready />}
      <Badge />
      <button type="button" class="quiet" onClick={() => attempt(async () => { await post("/v1/logout"); location.assign("/login"); })}>Sign out</button>
    </header>
  );
}

// Ready: takes calls of the queues, or is away. The server starts with ready.
const away = signal(false);
const Ready = () => (
  <button type="button" class="quiet" role="switch" aria-checked={!away.value} onClick={() => attempt(async () => {
    await post("/v1/presence", { state: away.value ? "ready" : "away" });
    away.value = !away.value;
    tell(away.value ? "You are away: no new calls." : "You are ready for calls.");
  })}>{away.value ? "Away" : "Ready"}</button>
);

// Phone is the bar of the softphone, for those who have one.
function Phone() {
  const host = useRef<HTMLElement>(null);
  const has = !!phone.value;
  useEffect(() => {
    if (has) void attempt(async () => (await import("/assets/softphone.js" as string)).start(host.current, { post, tell, attempt, phone }));
  }, [has]);
  return has ? <section class="phone" aria-label="Phone" ref={host} /> : null;
}

const Badge = () => <span class={`badge ${link.value}`} role="status">{link.value === "live" ? "Live" : link.value === "connecting" ? "Connecting" : "Reconnecting"}</span>;

function ConsolePage() {
  const all = [...calls.value.values()];
  const mine = all.filter((c) => c.owner === me.value!.id);
  const shown = me.value!.roles.includes("agent") && !me.value!.roles.includes("supervisor") ? mine : [...mine, ...all.filter((c) => c.owner !== me.value!.id)];
  const one = shown.find((c) => c.traversal === selected.value) ?? shown[0];
  useEffect(() => { document.title = one ? `● ${stateName(one.state)} · ringfence` : "ringfence console"; }, [one?.traversal, one?.state]);
  return (
    <main>
      <h1 class="hidden">Console</h1>
      {shown.length > 1 && (
        <nav class="tabs" aria-label="Calls">
          {shown.map((c) => (
            <button type="button" aria-current={c === one ? "true" : undefined} onClick={() => { selected.value = c.traversal; }}>
              <bdi>{c.claim || c.caller || "Withheld"}</bdi><span class="aside">{stateName(c.state)} · {lasts(now.value - Date.parse(c.began))}</span>
            </button>
          ))}
        </nav>
      )}
      {one ? <CallView key={one.traversal} call={one} me={me.value!} /> : <Quiet />}
    </main>
  );
}

function Quiet() {
  const take = (e: Event) => {
    e.preventDefault();
    const form = e.currentTarget as HTMLFormElement;
    const code = (form.elements.namedItem("code") as HTMLInputElement).value;
    void attempt(async () => { await post("/v1/traversals/take", { code }); form.reset(); });
  };
  return (
    <div class="quiet-page">
      <Panel title="No call for you now">
        <p>A call appears here by itself. Nothing needs refreshing.</p>
        <form class="inline" onSubmit={take}>
          <label for="code">Four digits whispered to you</label>
          <input id="code" name="code" inputMode="numeric" pattern="[0-9]{4}" maxLength={4} autocomplete="off" required />
          <button type="submit">Take the call</button>
        </form>
      </Panel>
    </div>
  );
}

function App() {
  if (!me.value) return null;
  const page = location.pathname.split("/")[1] || me.value.pages[0];
  return (
    <>
      <a class="skip" href="#content">Skip to content</a>
      <Header />
      <Phone />
      <div id="content" tabIndex={-1}>{pageOf(page ?? "")}</div>
      <Bar />
    </>
  );
}

function pageOf(page: string) {
  switch (page) {
    case "console": return <ConsolePage />;
    case "board": return <BoardPage />;
    case "approvals": return <ApprovalsPage />;
    case "calls": case "audit": return <RecordsPage audit={page === "audit"} />;
    case "import": return <ImportPage />;
    case "people": return <PeoplePage me={me.value!} />;
    default: return <main><h1>{TITLES[page] ?? "ringfence"}</h1></main>;
  }
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

// Alt+Shift+U says the same as the quiet button, without reaching for it.
addEventListener("keydown", (e) => {
  if (!e.altKey || !e.shiftKey || e.code !== "KeyU") return;
  const mine = [...calls.value.values()].find((c) => c.traversal === selected.value) ?? [...calls.value.values()].find((c) => c.owner === me.value?.id);
  if (mine) pressure(mine);
});

async function begin() {
  try {
    me.value = await get<Me>("/v1/me");
  } catch (e) {
    if (e instanceof Refused && e.kind === "unauthenticated") return location.assign("/login");
    tell("The server cannot be reached. Trying again.", true);
    setTimeout(begin, 2000);
    return;
  }
  start();
  watchAsked();
}

void begin();
render(<App />, document.getElementById("app")!);
