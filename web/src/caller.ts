// The caller's page: inert until the carry code is typed, one tap to approve,
// one to stop. Its texts stand in the page, in the reader's language.

import { post, Refused } from "./api";
import { make, NotDone, supported, use } from "./passkey";
import { grouped, shown } from "./words";

interface Out { outcome: string; tries_left?: number; reference?: string; expires_at?: string; session?: string; says?: string; fields?: { name: string; as?: string; value: string }[]; by?: string; options?: unknown; needs_code?: boolean; prove?: boolean; check?: string; fingerprint?: string; codes?: string[] }

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const texts = $<HTMLTemplateElement>("texts").content;
const status = $("status");
const text = (key: string) => texts.querySelector(`[data-text="${key}"]`)?.textContent ?? key;

// The token leaves the address bar at once, so that nobody reads it there.
const token = location.hash.slice(1);
const bare = location.pathname + location.search;
if (token) history.replaceState(null, "", bare);

// The browser inside another app often knows no passkeys. Then the address gets
// its token back, so that the app's own "open in browser" takes it along.
const inApp = /FBA[NV]|Instagram|\bLine\/|; wv\)|Snapchat|TikTok|musical_ly|GSA\//i.test(navigator.userAgent);
function elsewhere() {
  history.replaceState(null, "", bare + "#" + token);
  step("elsewhere", "stop");
  tell("no_passkeys");
}

let session = "";
let options: unknown;
let timer: ReturnType<typeof setInterval> | undefined;

// local writes an amount with the reader's own point and comma.
const local = (amount: string) => (document.documentElement.lang === "de" ? amount.replace(/[.,]/g, (c) => (c === "." ? "," : ".")) : amount);

function tell(key: string, how = "", more = "") {
  status.className = key ? `says ${how}` : "";
  status.textContent = key ? text(key) + more : "";
}

function step(...names: string[]) {
  for (const el of document.querySelectorAll<HTMLElement>("[data-step]")) el.hidden = !names.includes(el.dataset.step!);
}

function end(key: string, how = "") {
  clearInterval(timer);
  step();
  tell(key, how);
  status.tabIndex = -1;
  status.focus();
}

// run does one step and keeps a second tap from doing it twice.
let busy = false;
async function run(what: () => Promise<void>) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await what();
  } catch (e) {
    if (e instanceof NotDone) inApp ? elsewhere() : tell("cancelled");
    else if (e instanceof Refused && e.kind === "expired") end(document.body.querySelector('[data-page="enrol"], [data-page="recover"]') ? "enrol_closed" : "closed");
    else if (e instanceof Refused && e.kind === "too-many") tell("slow");
    else tell("offline");
  }
  busy = false;
  document.body.removeAttribute("aria-busy");
}

function settle(out: Out): boolean {
  if (out.outcome === "open") return false;
  if (out.outcome === "satisfied") end("satisfied", "ok");
  else if (out.outcome === "rejected") end("rejected", "ok");
  else if (out.outcome === "wrong" && out.tries_left) return false;
  else end("closed");
  return true;
}

function show(out: Out) {
  session = out.session ?? "";
  options = out.options;
  $("says").textContent = out.says ?? "";
  $("by").textContent = out.by ?? "";
  document.querySelector<HTMLElement>("[data-by]")!.hidden = !out.by;
  document.querySelector<HTMLElement>("[data-by-flow]")!.hidden = !!out.by;
  const names = $<HTMLTemplateElement>("fields").content;
  $("facts").replaceChildren(...(out.fields ?? []).map((f) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    const value = document.createElement("bdi");
    dt.textContent = names.querySelector(`[data-field="field_${CSS.escape(f.name)}"]`)?.textContent ?? f.name.replaceAll("_", " ");
    value.textContent = f.as === "money" ? local(shown(f.value, "money")) : f.as === "digits" || f.as === "spell" ? grouped(f.value) : f.value;
    if (f.as === "money") dd.className = "money";
    if (f.as === "digits" || f.as === "spell") dd.className = "account";
    dd.append(value);
    const row = document.createElement("div");
    row.append(dt, dd);
    return row;
  }));
  const until = Date.parse(out.expires_at ?? "") || Date.now() + 120_000;
  const tick = () => {
    const s = Math.max(0, Math.round((until - Date.now()) / 1000));
    $("left").textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
    if (s === 0) end("closed");
  };
  clearInterval(timer);
  timer = setInterval(tick, 1000);
  tick();
  tell("");
  step("action", "stop");
  const head = $("says");
  head.tabIndex = -1;
  head.focus();
}

function approvePage() {
  void run(async () => {
    const out = await post<Out>("/l/look", { token });
    if (settle(out)) return;
    if (out.reference) {
      for (const el of document.querySelectorAll("[data-ref]")) el.textContent = grouped(out.reference);
      for (const el of document.querySelectorAll<HTMLElement>("[data-refline]")) el.hidden = false;
    }
    if (!supported()) return elsewhere();
    step("code", "stop");
  });
  $("unlock").addEventListener("submit", (e) => {
    e.preventDefault();
    void run(async () => {
      const out = await post<Out>("/l/unlock", { token, code: $<HTMLInputElement>("code").value });
      if (settle(out)) return;
      if (out.outcome === "wrong") {
        $<HTMLInputElement>("code").value = "";
        tell("wrong_code", "", ` ${out.tries_left}`);
        return;
      }
      show(out);
    });
  });
  $("approve").addEventListener("click", () => void run(async () => {
    if (!options) {
      const fresh = await post<Out>("/l/again", { token, session });
      if (settle(fresh)) return;
      options = fresh.options;
    }
    const once = options;
    options = undefined; // each ceremony is judged once
    const response = await use(once);
    const out = await post<Out>("/l/finish", { token, session, response });
    if (!settle(out)) tell("wrong_key");
  }));
  $("refuse").addEventListener("click", () => void run(async () => { settle(await post<Out>("/l/refuse", { token })); }));
}

// What was made waits; its owner compares the check digits and keeps the codes,
// which nothing shows again.
function showMade(out: Out, key: string) {
  step("made");
  $("check").textContent = grouped(out.check ?? "");
  $("fingerprint").textContent = out.fingerprint ?? "";
  $("codelist").replaceChildren(...(out.codes ?? []).map((code) => {
    const li = document.createElement("li");
    const text = document.createElement("code");
    text.textContent = code;
    li.append(text);
    return li;
  }));
  $("codes").hidden = !out.codes?.length;
  tell(key, "ok");
  status.tabIndex = -1;
  status.focus();
}

function enrolStep(prove: boolean) {
  for (const el of document.querySelectorAll<HTMLElement>("[data-make]")) el.hidden = prove;
  for (const el of document.querySelectorAll<HTMLElement>("[data-prove]")) el.hidden = !prove;
  if (!supported()) return elsewhere();
  step("enrol");
}

function enrolPage() {
  let prove = false;
  void run(async () => {
    const out = await post<Out>("/enrol/look", { token });
    if (out.outcome !== "open") return end("enrol_closed");
    prove = !!out.prove;
    if (out.needs_code) step("carry");
    else enrolStep(prove);
  });
  $("carry").addEventListener("submit", (e) => {
    e.preventDefault();
    void run(async () => {
      const out = await post<Out>("/enrol/unlock", { token, code: $<HTMLInputElement>("code").value });
      if (out.outcome === "wrong") {
        $<HTMLInputElement>("code").value = "";
        return tell("wrong_code", "", ` ${out.tries_left}`);
      }
      if (out.outcome !== "open") return end("enrol_closed");
      tell("");
      enrolStep(prove);
    });
  });
  const done = () => void run(async () => {
    const begun = await post<Out>("/enrol/begin", { token });
    const response = await (prove ? use(begun.options) : make(begun.options));
    showMade(await post<Out>("/enrol/finish", { token, response }), prove ? "codes_made" : "enrolled");
  });
  $("make").addEventListener("click", done);
  $("prove").addEventListener("click", done);
}

// The door for whoever has lost everything: a recovery code leads to a new
// passkey, and to nothing else.
function recoverPage() {
  if (!supported()) return tell("no_passkeys"); // before a code is used up for nothing
  step("recover");
  $("recover").addEventListener("submit", (e) => {
    e.preventDefault();
    void run(async () => {
      const code = $<HTMLInputElement>("lastcode");
      const out = await post<Out>("/recover", { value: $<HTMLInputElement>("account").value, code: code.value });
      code.value = "";
      if (out.outcome !== "open" || !out.session) return tell("recover_no");
      location.assign("/enrol" + location.search + "#" + out.session);
    });
  });
}

// The page of the link in a notice: it can stop one action, and nothing else.
function stopPage() {
  step("stop-release");
  $("stop").addEventListener("click", () => void run(async () => { settle(await post<Out>("/stop", { token })); }));
}

for (const a of document.querySelectorAll<HTMLAnchorElement>(".langs a")) {
  a.addEventListener("click", () => { if (token) a.hash = token; }); // the link is for this page, in whatever language
}
$("copy").addEventListener("click", () => void navigator.clipboard.writeText(location.origin + bare + "#" + token).then(() => tell("copied", "ok"), () => tell("no_passkeys")));

if (document.querySelector('[data-page="recover"]')) recoverPage();
else if (!token) tell("incomplete");
else if (document.querySelector('[data-page="stop"]')) stopPage();
else if (document.querySelector('[data-page="enrol"]')) enrolPage();
else approvePage();

