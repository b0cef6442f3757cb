// The wire: which messages came and went on each leg, and how it sounded.

import { Line } from "./chart";
import { Panel, Pill } from "./parts";
import { causeSays, when } from "./history-words";
import { bare } from "./words";
import type { Leg, Quality as Point } from "./history-types";

const ROW = 26, TOP = 56, WIDE = 500;

interface Sent { leg: number; at: number; received: boolean; what: string; cseq?: string }

const short = (text: string) => (text.length > 20 ? `${bare(text).slice(0, 19)}…` : text);

// Ladder draws the legs left and right of us, the messages downwards in time.
export function Ladder({ legs }: { legs: Leg[] }) {
  const rows: Sent[] = legs.flatMap((l, leg) => l.ladder.map((m) => ({ leg, at: Date.parse(m.at), received: m.received, what: m.what, cseq: m.cseq }))).sort((a, b) => a.at - b.at);
  const began = rows[0]?.at ?? 0;
  const right = legs.length - 1; // the first leg is on the left, the others on the right
  const us = right === 0 ? WIDE - 60 : 280;
  const at = (leg: number) => (leg === 0 ? 110 : us + ((WIDE - 50 - us) * leg) / right);
  const high = TOP + rows.length * ROW + 12;
  const more = legs.reduce((n, l) => n + (l.more ?? 0), 0);
  return (
    <Panel title="Messages" side={<span class="aside pills">{rows.length} messages</span>}>
      <ul class="legs">
        {legs.map((l, i) => <li><strong>{i === 0 ? "Caller" : `Leg ${i + 1}`}</strong> <span class="aside">{[l.direction, l.trunk, l.transport, l.cause && causeSays(l.cause)].filter(Boolean).join(" · ")}</span></li>)}
      </ul>
      <div class="scroll" tabIndex={0} role="region" aria-label="Messages, ladder">
        <svg class="ladder" width={WIDE} height={high} viewBox={`0 0 ${WIDE} ${high}`} role="group" aria-label={`${rows.length} messages between ${legs.length} legs and ringfence`}>
          <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z" /></marker></defs>
          <line class="life us" x1={us} x2={us} y1={TOP - 16} y2={high} />
          <text class="name" x={us} y={TOP - 24} text-anchor="middle">ringfence</text>
          {legs.map((_, i) => <><line class="life" x1={at(i)} x2={at(i)} y1={TOP - 16} y2={high} /><text class="name" x={at(i)} y={TOP - 24} text-anchor="middle">{i === 0 ? "Caller" : `Leg ${i + 1}`}</text></>)}
          {rows.map((r, i) => {
            const y = TOP + i * ROW + 18, far = at(r.leg);
            const bad = /^[456]\d\d/.test(r.what);
            return (
              <g class={bad ? "bad" : ""}>
                <text class="time" x={4} y={y + 4}>{i === 0 ? when(new Date(r.at).toISOString()) : `+${((r.at - began) / 1000).toFixed(r.at - began < 10_000 ? 2 : 0)} s`}</text>
                <line class="sent" x1={r.received ? far : us} x2={r.received ? us : far} y1={y} y2={y} marker-end="url(#tip)" />
                <text class="what" x={(far + us) / 2} y={y - 4} text-anchor="middle">{short(r.what)}</text>
              </g>
            );
          })}
        </svg>
      </div>
      {more > 0 && <p class="aside">{more} more had no room.</p>}
    </Panel>
  );
}

const poor = (p: Point) => p.loss > 0.02 || p.jitter_ms > 30 || (p.mos > 0 && p.mos < 3.5);

// Quality draws loss, jitter and MOS of each leg over time. The lines that are
// not to be crossed are those of the alarms.
export function Quality({ legs }: { legs: Leg[] }) {
  const heard = legs.map((l, i) => ({ l, i })).filter(({ l }) => l.whole.packets > 0);
  return (
    <Panel title="Sound">
      {heard.length === 0 && <p class="aside">No sound was heard on any leg.</p>}
      {heard.map(({ l, i }) => {
        const name = i === 0 ? "Caller" : `Leg ${i + 1}`;
        return (
          <section class="sound" aria-label={`Sound of ${name}`}>
            <h3>{name} {poor(l.whole) ? <Pill how="warn">Poor</Pill> : <Pill how="ok">Good</Pill>}</h3>
            <div class="charts">
              <Line name={`Loss, ${name}`} title="Loss" says={`${(l.whole.loss * 100).toFixed(1)} %`} values={l.quality.map((q) => q.loss * 100)} most={5} limit={2} />
              <Line name={`Jitter, ${name}`} title="Jitter" says={`${l.whole.jitter_ms.toFixed(0)} ms`} values={l.quality.map((q) => q.jitter_ms)} most={60} limit={30} />
              <Line name={`MOS, ${name}`} title="MOS" says={l.whole.mos ? l.whole.mos.toFixed(1) : "–"} values={l.quality.map((q) => q.mos)} most={5} limit={3.5} below />
            </div>
            <p class="aside">{l.whole.packets.toLocaleString("en")} packets to us{l.whole.remote_loss > 0 ? `, ${(l.whole.remote_loss * 100).toFixed(1)} % of ours were missed` : ""}{l.whole.rtt_ms > 0 ? `, ${l.whole.rtt_ms.toFixed(0)} ms there and back` : ""}. MOS is an estimate (ITU-T G.107).</p>
          </section>
        );
      })}
    </Panel>
  );
}
