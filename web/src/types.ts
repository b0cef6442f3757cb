// What the server sends, as ringfence.LiveCall and its kin are written.

export type Tri = "yes" | "no" | "unknown";

export interface Evidence { fact: string; says: string; good: Tri; at?: string; release?: string; source?: string }

export interface Release {
  id: string; type: string; says: string; class: string; state: string; fields?: Record<string, string>; digest: string;
  decision: "refuse" | "step_up" | "allow" | ""; why: string; missing?: string[]; risks?: string[]; flags?: string[]; until?: string;
}

export interface Moment { at: string; text: string; bad?: boolean; minor?: boolean }

export interface Call {
  traversal: string; version: number; reference: string; direction: string; began: string; state: string; since?: string; line: string; queue?: string;
  owner?: string; epoch: number; caller: string; caller_name?: string; attest: string; stir: Tri; stir_says: string; number_shown: string;
  claim?: string; subject?: string; subject_kind?: string; evidence: Evidence[] | null; releases: Release[] | null;
  flow?: string; playing?: string; outcome?: string; say_now?: string; alert?: string; supervised?: string; timeline: Moment[] | null;
}

// Floor is what stands around our own calls.
export interface Floor { state: "ready" | "busy" | "away"; away: boolean; ringing: Ringing[]; queues: { name: string; waiting: number; since?: string }[] }

export interface Ringing { reference: string; caller: string; caller_name?: string; attest: string; stir: Tri; queue?: string; began: string; handed?: boolean }

export interface Field { name: string; type: string }

export interface ActionType { type: string; says: string; class: string; about: string; fields: Field[] }

export interface Me {
  id: string; name: string; roles: string[]; team?: string; currency?: string; actions?: ActionType[] | null; kinds?: { kind: string; by: string[] }[] | null; pages: string[];
}

export interface OnFile { contact_points: ContactPoint[]; authenticators: { type: string; since: string; status: string }[] }

export interface ContactPoint { id: string; type: string; masked: string; since: string; changed?: string; status: string }
