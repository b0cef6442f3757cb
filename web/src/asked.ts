// What waits for our own agreement, said on whatever page we are.

import { effect } from "@preact/signals";
import { get } from "./api";
import { asked, waiting } from "./live";
import { tell } from "./parts";

interface Asked { release: string; says: string; requester: string }

let known = new Set<string>();
export const watchAsked = () => effect(() => {
  asked.value;
  get<{ approvals: Asked[] }>("/v1/approvals").then(({ approvals }) => {
    waiting.value = approvals.length;
    const fresh = approvals.filter((a) => !known.has(a.release));
    known = new Set(approvals.map((a) => a.release));
    if (fresh.length && !location.pathname.startsWith("/approvals")) tell(`${fresh[0]!.requester} asks you to agree: ${fresh[0]!.says}.`);
  }, () => {});
});
