import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";
import { post } from "./api";
import { ApprovalsPage } from "./approvals";
import { watchAsked } from "./asked";
import { CallView, pressure } from "./call";
import { ImportPage } from "./import";
import { PeoplePage } from "./people";
import { calls, now } from "./live";
import { attempt, Panel } from "./parts";
import { here, me, open } from "./shell";
import { TITLES } from "./titles";
import { lasts, stateName } from "./words";

const selected = signal("");

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

function pageOf(page: string) {
  switch (page) {
    case "console": return <ConsolePage />;
    case "approvals": return <ApprovalsPage />;
    case "import": return <ImportPage />;
    case "people": return <PeoplePage me={me.value!} />;
    default: return <main><h1>{TITLES[page] ?? "ringfence"}</h1></main>;
  }
}

// Alt+Shift+U says the same as the quiet button, without reaching for it.
addEventListener("keydown", (e) => {
  if (!e.altKey || !e.shiftKey || e.code !== "KeyU") return;
  const mine = [...calls.value.values()].find((c) => c.traversal === selected.value) ?? [...calls.value.values()].find((c) => c.owner === me.value?.id);
  if (mine) pressure(mine);
});

open(() => pageOf(here()), watchAsked);
