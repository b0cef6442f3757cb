import { useEffect } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { post } from "./api";
import { ApprovalsPage } from "./approvals";
import { watchAsked } from "./asked";
import { CallView, pressure } from "./call";
import { ImportPage } from "./import";
import { PeoplePage } from "./people";
import { After, ended, Notices, own, Rings, Waits, watchEnded } from "./floor";
import { calls, floor, now } from "./live";
import { attempt, Panel } from "./parts";
import { here, me, open } from "./shell";
import { TITLES } from "./titles";
import type { Call } from "./types";
import { lasts, stateName } from "./words";

const selected = signal("");

// A call that has just become ours is the one we talk to: it is shown.
let known = new Set<string>();
const follow = () => effect(() => {
  const mine = own();
  const fresh = mine.find((c) => !known.has(c.traversal));
  known = new Set(mine.map((c) => c.traversal));
  if (fresh && fresh.state === "talking") selected.value = fresh.traversal;
});

function ConsolePage() {
  const mine = own();
  const watched = me.value!.roles.includes("supervisor") ? [...calls.value.values()].filter((c) => c.owner !== me.value!.id) : [];
  const one = mine.find((c) => c.traversal === selected.value) ?? watched.find((c) => c.traversal === selected.value) ?? mine[0];
  useEffect(() => { document.title = one ? `● ${stateName(one.state)} · ringfence` : "ringfence console"; }, [one?.traversal, one?.state]);
  return (
    <main>
      <h1 class="hidden">Console</h1>
      <Rings />
      <Waits />
      {(mine.length > 1 || watched.length > 0) && (
        <div class="choose">
          {mine.length + (one && !mine.includes(one) ? 1 : 0) > 1 && <nav class="tabs" aria-label="Calls">{mine.map((c, i) => <Tab call={c} on={c === one} nth={i + 1} />)}</nav>}
          {watched.length > 0 && (
            <select aria-label="Watch a colleague's call" value={one && one.owner !== me.value!.id ? one.traversal : ""} onChange={(e) => { selected.value = e.currentTarget.value; }}>
              <option value="">{mine.length ? "Our own calls" : "Watch a call …"}</option>
              {watched.map((c) => <option value={c.traversal}>{c.claim || c.caller || "Number withheld"} · {stateName(c.state)}</option>)}
            </select>
          )}
        </div>
      )}
      {one ? <CallView key={one.traversal} call={one} me={me.value!} /> : <Quiet />}
    </main>
  );
}

const Tab = ({ call, on, nth }: { call: Call; on: boolean; nth: number }) => (
  <button type="button" class={call.alert ? "bad" : ""} aria-current={on ? "true" : undefined} aria-keyshortcuts={`Alt+Shift+${nth}`} onClick={() => { selected.value = call.traversal; }}>
    <bdi>{call.claim || call.caller || "Withheld"}</bdi><span class="aside">{call.alert ? "Alert · " : ""}{stateName(call.state)} · {lasts(now.value - Date.parse(call.began))}</span>
  </button>
);

function Quiet() {
  const take = (e: Event) => {
    e.preventDefault();
    const form = e.currentTarget as HTMLFormElement;
    const code = (form.elements.namedItem("code") as HTMLInputElement).value;
    void attempt(async () => { await post("/v1/traversals/take", { code }); form.reset(); });
  };
  return (
    <div class="quiet-page">
      {!floor.value?.ringing.length && <Panel title="No call for you now">
        <p>{floor.value?.away ? "You are away. Say that you are ready, above, and calls come to you." : "A call appears here by itself. Nothing needs refreshing."}</p>
        <Notices />
        <form class="inline" onSubmit={take}>
          <label for="code">Four digits whispered to you</label>
          <input id="code" name="code" inputMode="numeric" pattern="[0-9]{4}" maxLength={4} autocomplete="off" required />
          <button type="submit">Take the call</button>
        </form>
      </Panel>}
      {ended.value.map((c) => <After key={c.traversal} call={c} />)}
    </div>
  );
}

function pageOf(page: string) {
  switch (page) {
    case "console": return <ConsolePage />;
    case "approvals": return <ApprovalsPage />;
    case "import": return <ImportPage />;
    case "people": return <PeoplePage me={me.value!} />;
    default: return <main><h1>{TITLES[page] ?? "ringfence"}</h1></main>;
  }
}

// Alt+Shift+U says the same as the quiet button, without reaching for it;
// Alt+Shift+1 to 9 shows that call.
addEventListener("keydown", (e) => {
  if (!e.altKey || !e.shiftKey) return;
  const mine = own();
  if (e.code === "KeyU") {
    const one = mine.find((c) => c.traversal === selected.value) ?? mine[0];
    if (one) pressure(one);
  }
  const nth = mine[Number(/^Digit([1-9])$/.exec(e.code)?.[1] ?? 0) - 1];
  if (nth) { e.preventDefault(); selected.value = nth.traversal; }
});

open(() => pageOf(here()), () => { watchAsked(); watchEnded(); follow(); });
