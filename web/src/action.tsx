// The action form. Its release button is a view of what the gate would answer;
// one changed character locks it, because what was proved counts for exactly
// the action that was opened.

import { useEffect, useState } from "preact/hooks";
import { post } from "./api";
import { now } from "./live";
import { attempt, Button, Panel, Pill, Stay, tell } from "./parts";
import { asking, canonical, fieldName, lasts, over, shown, stateSays } from "./words";
import type { ActionType, Call, Me, Release } from "./types";

type Values = Record<string, string>;

const ASKED = [["phone", "On this call"], ["in_person", "In person"], ["email", "By e-mail"], ["letter", "By letter or invoice"]];

export function ActionPanel({ call, me, mine, release }: { call: Call; me: Me; mine: boolean; release?: Release }) {
  const types = (me.actions ?? []).filter((a) => !call.subject_kind || a.about === call.subject_kind);
  const [type, setType] = useState(release?.type ?? types[0]?.type ?? "");
  const [asked, setAsked] = useState("phone");
  const [typed, setTyped] = useState<Values>({});
  const [from, setFrom] = useState(""); // the release that typed was filled from
  const action = (me.actions ?? []).find((a) => a.type === type);

  // A release that was opened elsewhere (by the flow, or before a reload)
  // fills the form once.
  useEffect(() => {
    if (!release || release.id === from || over(release.state)) return;
    const known = (me.actions ?? []).find((a) => a.type === release.type);
    setType(release.type);
    setTyped(Object.fromEntries(Object.entries(release.fields ?? {}).map(([k, v]) => [k, shown(v, known?.fields.find((f) => f.name === k)?.type ?? "text")])));
    setFrom(release.id);
  }, [release?.id]);

  if (!mine) return release ? <Panel at="o-action" title={release.says}><Fields action={action} release={release} /><Standing release={release} /></Panel> : null;
  if (!call.subject) return <Panel at="o-action" title="Action"><PickSubject call={call} me={me} /></Panel>;
  if (!action) return <Panel at="o-action" title="Action"><p class="aside">The policy knows no action about this caller.</p></Panel>;

  const live = release && !over(release.state) ? release : undefined;
  const changed = live ? live.type !== type || action.fields.some((f) => canonical(typed[f.name] ?? "", f.type, me.currency ?? "GBP") !== live.fields?.[f.name]) : false;
  const bad = action.fields.find((f) => canonical(typed[f.name] ?? "", f.type, me.currency ?? "GBP") === null);

  const open = () => attempt(async () => {
    const fields = Object.fromEntries(action.fields.map((f) => [f.name, canonical(typed[f.name] ?? "", f.type, me.currency ?? "GBP")!]));
    if (live) await post(`/v1/releases/${live.id}/cancel`, {});
    const made = await post<{ id: string }>("/v1/actions", { type, fields, traversal: call.traversal, asked_by: asked });
    setFrom(made.id);
    tell("Opened. What this action asks for stands under Evidence.");
  });
  const why = !live ? "Open the action first."
    : changed ? "You changed the action. Open it again: what was proved counts for the old one only."
    : !asking(live.state) ? [stateSays(live.state) ?? "It is on its way", live.state === "held" || live.state === "pending_approval" ? live.why : ""].filter(Boolean).map((t) => t.replace(/\.$/, "")).join(". ") + "."
    : live.decision !== "allow" ? live.why || "Something is still missing." : undefined;

  return (
    <Panel at="o-action" title={`${fieldName(action.says)}`} side={<span class="pills">{live && <Pill how="plain">{live.class}</Pill>}{changed && <Pill how="bad">Changed</Pill>}</span>}>
      <form class="form" autocomplete="off" onSubmit={(e) => { e.preventDefault(); if (bad) tell(`${fieldName(bad.name)} is not complete.`, true); else void open(); }}>
        <div>
          <label for="type">Action</label>
          <select id="type" value={type} onChange={(e) => setType(e.currentTarget.value)}>{types.map((a) => <option value={a.type}>{fieldName(a.says)}</option>)}</select>
        </div>
        {action.fields.map((f) => (
          <div>
            <label for={`f-${f.name}`}>{fieldName(f.name)}</label>
            <input id={`f-${f.name}`} value={typed[f.name] ?? ""} inputMode={f.type === "money" ? "decimal" : f.type.startsWith("digits") ? "numeric" : undefined}
              spellcheck={false} aria-describedby="standing" onInput={(e) => setTyped({ ...typed, [f.name]: e.currentTarget.value })} />
          </div>
        ))}
        {!live && <div>
          <label for="asked">How it was asked for</label>
          <select id="asked" value={asked} onChange={(e) => setAsked(e.currentTarget.value)}>{ASKED.map(([v, t]) => <option value={v}>{t}</option>)}</select>
        </div>}
        <Stay at="go">
          {(!live || changed) && <button type="submit" class="main">{live ? "Open again" : "Open action"}</button>}
          <Button id="release" main={!why} why={why} act={() => attempt(async () => {
            await post(`/v1/releases/${live!.id}/release`, { digest: live!.digest });
            tell("Release asked for.");
          })}>Release</Button>
          {live && <Button quiet act={() => attempt(() => post(`/v1/releases/${live.id}/cancel`, {}))}>Cancel the action</Button>}
        </Stay>
        <p id="standing" class={`standing ${!why || sure(live) ? "ok" : ""}`}>{why ?? "Everything the policy asks for is there."}{live?.until && live.state === "cooling" ? ` ${lasts(Date.parse(live.until) - now.value)} left.` : ""}</p>
      </form>
    </Panel>
  );
}

// sure is an action that went through: nothing about it is a warning.
const sure = (r?: Release) => ["ready", "permitted", "redeemed", "executed"].includes(r?.state ?? "");

function Fields({ action, release }: { action?: ActionType; release: Release }) {
  return <dl class="facts">{Object.entries(release.fields ?? {}).map(([k, v]) => <div><dt>{fieldName(k)}</dt><dd><bdi>{shown(v, action?.fields.find((f) => f.name === k)?.type ?? "text")}</bdi></dd></div>)}</dl>;
}

const Standing = ({ release }: { release: Release }) => <p class={`standing ${sure(release) ? "ok" : ""}`}>{stateSays(release.state) ?? release.why}</p>;

// PickSubject: the agent says whom the caller claims to be. It is a claim and
// counts for nothing.
function PickSubject({ call, me }: { call: Call; me: Me }) {
  const kinds = me.kinds ?? [];
  const [kind, setKind] = useState(kinds[0]?.kind ?? "");
  const [value, setValue] = useState("");
  const by = kinds.find((k) => k.kind === kind)?.by[0] ?? "account";
  const pick = () => attempt(() => post(`/v1/traversals/${call.traversal}/identify`, { kind, field: by, value }));
  return (
    <form class="form" onSubmit={(e) => { e.preventDefault(); void pick(); }}>
      <p class="aside">Nobody is identified on this call. Say whom the caller claims to be; it is a claim and proves nothing.</p>
      {kinds.length > 1 && <div><label for="kind">Kind</label><select id="kind" value={kind} onChange={(e) => setKind(e.currentTarget.value)}>{kinds.map((k) => <option>{k.kind}</option>)}</select></div>}
      <div><label for="by">{fieldName(by)}</label><input id="by" value={value} required onInput={(e) => setValue(e.currentTarget.value)} /></div>
      <div class="go"><button type="submit" class="main">They claim to be this one</button></div>
    </form>
  );
}
