// The map of a flow: the server lays it out, the page draws it.

import { useEffect, useRef, useState } from "preact/hooks";
import type { FlowMap } from "./flow-types";

const SCALE = 0.9; // still read with ease

export interface Lit { line?: number; path?: number[] }

// walked are the scenes that a path of lines comes through, in turn.
function walked(map: FlowMap, path: number[]) {
  const sceneOf = (line: number) => map.boxes.findLast((b) => b.line <= line)?.scene ?? "";
  const out: string[] = [];
  for (const line of path) {
    const scene = sceneOf(line);
    if (out.at(-1) !== scene) out.push(scene);
  }
  return out;
}

export function MapView({ map, name, lit, stale, open }: { map: FlowMap; name: string; lit: Lit; stale?: boolean; open: (line: number) => void }) {
  const [fit, setFit] = useState(false);
  const pane = useRef<HTMLDivElement>(null);
  const path = lit.path ?? [];
  const scenes = walked(map, path);
  const onPath = (from: string, to: string) => scenes.some((s, i) => s === from && scenes[i + 1] === to);
  const here = lit.line === undefined ? undefined : map.boxes.findLast((b) => b.line <= lit.line!);
  // The map follows the line that is looked at, and begins where calls do.
  useEffect(() => {
    const p = pane.current;
    const at = here ?? map.boxes.reduce<FlowMap["boxes"][number] | undefined>((a, b) => (a && a.line < b.line ? a : b), undefined);
    if (fit || !p || !at) return;
    p.scrollTo({ left: (at.x + at.w / 2) * SCALE - p.clientWidth / 2, top: at.y * SCALE - 40 });
  }, [fit, here?.scene, map]);
  const view = { viewBox: `0 0 ${map.width} ${map.height}`, ...(fit ? {} : { width: map.width * SCALE, height: map.height * SCALE }) };
  return (
    <div class="map">
      <div ref={pane} class="maps" tabIndex={0} role="region" aria-label={`Map of ${name}`}>
        <svg class={`flow ${stale ? "stale" : ""} ${fit ? "fit" : ""}`} {...view} role="group" aria-label={`Map of ${name}, ${map.boxes.length} scenes`}>
          <defs>
            <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z" /></marker>
            <marker id="lit" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto"><path class="head lit" d="M0 0L8 4L0 8z" /></marker>
          </defs>
          {map.edges.map((e) => {
            const on = onPath(e.from, e.to);
            return <path class={`edge ${e.back ? "back" : ""} ${e.untested ? "untested" : ""} ${on ? "lit" : ""}`} d={e.path} marker-end={on ? "url(#lit)" : "url(#head)"} />;
          })}
          {map.boxes.map((b) => (
            <g key={b.scene} class={`scene ${b === here ? "here" : ""} ${scenes.includes(b.scene) ? "lit" : ""}`} role="button" tabindex={0}
              onClick={() => open(b.line)} onKeyDown={(e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(b.line); } }}>
              <rect class="box" x={b.x} y={b.y} width={b.w} height={b.h} rx={8} />
              <text class="title" x={b.x + 12} y={b.y + 18}>{b.scene}</text>
              {b.lines.map((l) => (
                <text class={`line ${l.untested ? "untested" : ""} ${path.includes(l.line) ? "lit" : ""} ${lit.line === l.line ? "now" : ""}`} x={l.x} y={l.y}
                  onClick={(e) => { e.stopPropagation(); open(l.line); }}>{l.text}</text>
              ))}
            </g>
          ))}
          {map.edges.filter((e) => e.label).map((e) => (
            <g aria-hidden="true"><rect class="behind" x={e.x - e.w / 2} y={e.y - 12} width={e.w} height={16} rx={3} /><text class="label" x={e.x} y={e.y} text-anchor="middle">{e.label}</text></g>
          ))}
        </svg>
      </div>
      <div class="go"><button type="button" class="quiet" aria-pressed={fit} onClick={() => setFit(!fit)}>Whole map</button>{stale && <span class="aside">As it was when it last loaded.</span>}</div>
    </div>
  );
}
