// Presence: whether we take calls now. The server says how it stands, so that
// every tab and browser of a person shows the same.

import { useEffect } from "preact/hooks";
import { post } from "./api";
import { floor, leads, phone } from "./live";
import { attempt, tell } from "./parts";
import { ring } from "./ring";

// useRinging calls us to the page while a telephone of ours rings, whatever page
// we are on. A softphone in this browser does it itself.
function useRinging() {
  const rings = (floor.value?.ringing.length ?? 0) > 0 && !phone.value?.calls.length;
  useEffect(() => {
    if (rings && leads()) ring(true, 2);
    if (rings && !location.pathname.startsWith("/console")) tell("A call rings at your telephone.");
    return () => ring(false);
  }, [rings]);
}

export function Presence() {
  useRinging();
  const { state, away } = floor.value ?? { state: "ready", away: false };
  const text = state === "busy" ? (away ? "Away after this" : "On a call") : away ? "Away" : "Ready";
  return (
    <button type="button" class={`quiet presence ${state}`} role="switch" aria-checked={!away} title={away ? "Take calls again" : state === "busy" ? "Take no more calls after this one" : "Take no calls"}
      onClick={() => attempt(async () => {
        await post("/v1/presence", { state: away ? "ready" : "away" });
        if (floor.value) floor.value = { ...floor.value, away: !away, state: state === "busy" ? state : away ? "ready" : "away" };
        tell(away ? "You are ready for calls." : "You are away: no new calls.");
      })}>{text}</button>
  );
}
