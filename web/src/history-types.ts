// What the server sends about past calls.

import type { Tri } from "./types";
import type { FlowMap } from "./flow-types";

export interface Action { release: string; type: string; says: string; class: string; state: string }
export interface Past {
  traversal: string; reference: string; direction?: string; line: string; queue?: string; began: string; ended?: string; caller?: string; attest: string; stir: Tri; stir_says?: string;
  people: string[]; subject?: string; subject_kind?: string; actions: Action[]; alert?: string; live: boolean;
}
export interface Found { calls: Past[]; people: { id: string; name: string; team?: string }[]; subjects: { id: string; kind: string; status: string }[]; names: Record<string, string>; next?: string }

export interface Proof { id: string; fact: string; strength?: string; at: string; leg?: string; release?: string; presented?: boolean; source?: { kind: string; masked?: string; since: string; changed?: string; status: string } }
export interface Detail { call: Past; evidence: Proof[]; names: Record<string, string> }

export interface RunStep { seconds: number; line: number; scene: string; verb: string; asks?: string; words?: string; way: string }
export interface Run { flow: string; file?: string; bundle: string; language?: string; map?: FlowMap; steps: RunStep[]; cut?: boolean }

export interface Quality { at: string; loss: number; remote_loss: number; jitter_ms: number; rtt_ms: number; mos: number; packets: number }
export interface Message { at: string; received: boolean; what: string; cseq?: string }
export interface Leg { id: string; direction: string; trunk?: string; transport?: string; cause?: string; ladder: Message[]; more?: number; quality: Quality[]; whole: Quality }

export interface Gap { from_ms: number; ms: number; why: "secret" | "lost" }
export interface Recording { id: string; state: string; class: string; consent: string; why?: string; began: string; ms: number; sha256?: string; gaps: Gap[]; until: string; hold?: string; people?: string[] }

export interface Entry { index: number; at: string; event: string; traversal?: string; release?: string; subject?: string; person?: string; client?: string; leg?: string; challenge?: string; object?: string; data?: Record<string, string> }
export interface LogPage { entries: Entry[]; size: number; next?: number; people: Record<string, string> }
export interface EntryProof { index: number; size: number; leaf: string; root: string; path: string[] }
