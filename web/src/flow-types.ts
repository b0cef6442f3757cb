// What the flow API sends.

export interface Share { percent?: number; numbers?: string[]; all?: boolean }
export interface Head { name: string; file: string; starts: string; about: string; kind?: string; action?: string; translations: string[] }
export interface Bundle { bundle: string; how?: string; at?: string; by: string[]; share?: Share; stopped?: string; title?: string; looser?: boolean; mine?: boolean; here?: boolean }
export interface Draft { id: string; title: string; at: string; version: number; base: string; behind: boolean; changed: number }
export interface Overview { may_edit: boolean; current: string; flows: Head[]; next?: Bundle; ramp?: Bundle; history: Bundle[]; proposals: Bundle[]; drafts: Draft[] }
export interface Whole { draft: Draft; files: Record<string, string>; audio: string[]; conflicts: string[] }

export interface Place { file: string; line: number }
export interface Problem extends Place { col: number; code: string; message: string; hint?: string; severity: "error" | "warning"; play?: string; path?: Place[]; test?: string }
export interface Weakest extends Place { flow: string; action: string; says: string; class: string; proofs: string[]; lanes: number; play: string; path: Place[] }
export interface MapLine { x: number; y: number; text: string; line: number; untested?: boolean }
export interface MapBox { x: number; y: number; w: number; h: number; scene: string; line: number; lines: MapLine[] }
export interface MapEdge { from: string; to: string; path: string; back?: boolean; untested?: boolean; label?: string; x: number; y: number; w: number }
export interface FlowMap { width: number; height: number; boxes: MapBox[]; edges: MapEdge[] }
export interface Check {
  hash?: string; clean: boolean; problems: Problem[]; weakest: Weakest[]; longest: { flow: string; seconds: number }[]; states: number; lines: number;
  flows: Head[]; flow?: string; map?: FlowMap; reads?: string; took_ms: number;
}
export interface Value { name: string; value: string }
export interface Step { at: number; leg?: string; what?: string; file?: string; line?: number; values?: Value[] }
export interface Play { steps: Step[]; leg?: string; options: string[]; ended: boolean; ends?: string; note?: string; test: string }
export interface TestView extends Place { name: string; flow: string; seconds: number; problems: Problem[]; trace?: string[] }
export interface Gap extends Place { flow: string; says: string }
export interface Tests { tests: TestView[]; problems: Problem[]; failed: number; taken: number; all: number; gaps: Gap[]; map?: FlowMap }
export interface Row extends Place { source: string; said: string; audio: string[]; flow: string; state: "done" | "missing" | "differs" | "stale" | "own"; hint?: string; leads?: boolean }
export interface Strings { languages: string[]; strings: Row[]; audio: string[] }
export interface Change { looser: boolean; where: string; says: string }
export interface DiffLine { kind: "same" | "added" | "taken" | "skipped"; old?: number; new?: number; text?: string }
export interface FileDiff { path: string; state: "new" | "gone" | "changed"; added: number; taken: number; lines: DiffLine[] }
export interface Diff { loads: boolean; looser: boolean; changes: Change[]; files: FileDiff[] }
export interface Proposal { bundle: string; title: string; note: string; by: string; at: string; share?: Share; signed: string[]; mine: boolean; diff: Diff; check: Check; tests: number; failed: TestView[] }
export interface Signed { bundle: string; done: boolean; waiting?: string; looser: boolean; from?: string; changes: Change[] }

// Set names files as every tool takes them.
export interface Set { draft?: string; bundle?: string; change?: { files?: Record<string, string>; gone?: string[] } }
