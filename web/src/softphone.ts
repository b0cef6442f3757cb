// The softphone: a bar with the calls that ring or talk in this browser. It is
// a bundle of its own, loaded by the console for those who can have one. The
// server knows which calls there are; this page only holds the microphone, so
// that a page that is loaded again goes on with the call.

import { ring, sound } from "./ring";

export interface PhoneCall { leg: string; from: string; reference?: string; live: boolean; linked: boolean; held: boolean; since: string }
export interface PhoneView { state: "off" | "here" | "elsewhere"; calls: PhoneCall[] }

interface Console {
  post<T>(path: string, body?: unknown): Promise<T>;
  tell(text: string, bad?: boolean): void;
  attempt<T>(run: () => Promise<T>): Promise<T | undefined>;
  phone: { value: PhoneView | null; subscribe(f: (v: PhoneView | null) => void): unknown };
}

let desk: Console;
let host: HTMLElement;
let view: PhoneView = { state: "off", calls: [] };
let active = false; // this tab has the phone of this browser
let muted = false;
let keypad = false, devices = false;
const remembered = (name: string) => localStorage.getItem("phone-" + name) ?? "";
const remember = (name: string, value: string) => localStorage.setItem("phone-" + name, value);

// --- elements ---------------------------------------------------------------

type Props = Record<string, string | boolean | (() => void) | undefined>;

function el(tag: string, props: Props = {}, ...children: (Node | string)[]): HTMLElement {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") e.addEventListener("click", value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== undefined && value !== false) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

const button = (id: string, text: string, act: () => void, how: Props = {}) => el("button", { id: "phone-" + id, type: "button", click: act, ...how }, text);

const minutes = (since: string) => {
  const s = Math.max(0, Math.floor((Date.now() - Date.parse(since)) / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
};

const said = el("strong", { id: "phone-says" });
const level = el("meter", { id: "phone-level", min: "0", max: "1", low: "0.02", "aria-label": "Microphone level" }) as HTMLMeterElement;
const quality = el("span", { id: "phone-quality", class: "pill plain" });

// draw shows the bar anew when anything but the clock changed, and keeps the
// focus where it was.
let drawn = "";
function draw() {
  const live = view.calls.find((c) => c.live);
  const ringing = view.calls.filter((c) => !c.live);
  said.textContent = words(live, ringing);
  const shape = JSON.stringify([view.state, active, muted, keypad, devices, live?.leg, live?.held, live && linkOf?.leg === live.leg && linkOf.up, ringing.map((c) => c.leg), sources.length, sinks.length]);
  if (shape === drawn) return;
  drawn = shape;
  const focused = document.activeElement?.id;
  const parts: (Node | string)[] = [said];
  if (view.state === "elsewhere") parts.push(button("take", "Use it here", () => turnOn(true)));
  else if (view.state === "off") parts.push(button("on", "Turn phone on", () => turnOn(false), { class: "main" }));
  else if (!active) parts.push(button("tab", "Use this tab", () => hold(true)));
  else {
    for (const c of ringing) {
      parts.push(button("answer", "Answer", () => answer(c), { class: "main", "aria-keyshortcuts": "Alt+Shift+A", "aria-disabled": live ? "true" : undefined }),
        button("decline", "Decline", () => hangUp(c), { class: "stop" }));
    }
    if (live) parts.push(...controls(live));
    parts.push(button("devices", "Devices", () => { devices = !devices; void listDevices(); }, { class: "quiet", "aria-expanded": String(devices) }));
    if (!view.calls.length) parts.push(button("off", "Turn phone off", turnOff, { class: "quiet" }));
    if (keypad && live) parts.push(keys());
    if (devices) parts.push(choice("mic", "Microphone", sources), ...(sinks.length ? [choice("out", "Speaker", sinks)] : []));
  }
  host.replaceChildren(...parts);
  if (focused?.startsWith("phone-")) document.getElementById(focused)?.focus();
}

function words(live: PhoneCall | undefined, ringing: PhoneCall[]): string {
  if (view.state === "elsewhere") return "Your phone is on in another browser.";
  if (view.state === "off") return "Phone off: no calls reach you here.";
  if (!active) return "Your phone is in another tab.";
  if (ringing.length) return `${live ? "Another call" : "Incoming call"}: ${ringing[0]!.from ? "+" + ringing[0]!.from.replace(/^\+/, "") : "number withheld"}`;
  if (!live) return "Phone on.";
  if (linkOf?.leg !== live.leg || !linkOf.up) return "Connecting the audio …";
  return `${live.held ? "On hold" : muted ? "Muted" : "Talking"} ${minutes(live.since)}`;
}

function controls(c: PhoneCall): Node[] {
  return [
    button("mute", "Mute", () => mute(!muted), { "aria-pressed": String(muted), "aria-keyshortcuts": "Alt+Shift+M" }),
    button("hold", "Hold", () => onHold(c), { "aria-pressed": String(c.held), "aria-keyshortcuts": "Alt+Shift+H" }),
    button("keys", "Keypad", () => { keypad = !keypad; draw(); }, { "aria-expanded": String(keypad) }),
    button("hangup", "End call", () => hangUp(c), { class: "stop", "aria-keyshortcuts": "Alt+Shift+X" }),
    level, quality,
  ];
}

function keys(): Node {
  const pad = el("div", { id: "phone-pad", role: "group", "aria-label": "Keypad" });
  for (const key of "123456789*0#") pad.append(button("key-" + (key === "*" ? "star" : key === "#" ? "hash" : key), key, () => linkOf?.press(key)));
  return pad;
}

// --- devices ----------------------------------------------------------------

let sources: MediaDeviceInfo[] = [], sinks: MediaDeviceInfo[] = [];

async function listDevices() {
  const all = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
  sources = all.filter((d) => d.kind === "audioinput");
  sinks = "setSinkId" in HTMLMediaElement.prototype ? all.filter((d) => d.kind === "audiooutput") : [];
  drawn = "";
  draw();
}

function choice(what: "mic" | "out", label: string, list: MediaDeviceInfo[]): Node {
  const select = el("select", { id: "phone-" + what }) as HTMLSelectElement;
  list.forEach((d, i) => select.append(el("option", { value: d.deviceId, selected: d.deviceId === remembered(what) }, d.label || `${label} ${i + 1}`)));
  select.addEventListener("change", () => {
    remember(what, select.value);
    void (what === "mic" ? linkOf?.otherMic() : toSpeaker());
  });
  return el("label", {}, label + " ", select);
}

const speaker = new Audio();
speaker.autoplay = true;

async function toSpeaker() {
  const id = remembered("out");
  if ("setSinkId" in speaker && id) await (speaker as any).setSinkId(id).catch(() => {});
}

// why says in plain words what stands between the page and a microphone.
function why(e: unknown): string {
  switch ((e as Error).name) {
    case "NotAllowedError": return "The browser does not let this page use the microphone. Click the sign beside the address, allow the microphone, and turn the phone on again.";
    case "NotFoundError": return "No microphone was found. Plug in a headset and try again.";
    case "NotReadableError": return "Another program holds the microphone. Close it and try again.";
    default: return navigator.mediaDevices ? "The microphone cannot be used." : "A microphone works on a page with https only.";
  }
}

async function openMic(): Promise<MediaStream> {
  const id = remembered("mic");
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: id ? { ...audio, deviceId: { exact: id } } : audio });
  } catch (e) {
    if (!id || (e as Error).name !== "OverconstrainedError" && (e as Error).name !== "NotFoundError") throw e;
    return navigator.mediaDevices.getUserMedia({ audio }); // the device that was chosen is unplugged
  }
}

// --- on and off -------------------------------------------------------------

async function turnOn(take: boolean) {
  try {
    for (const t of (await openMic()).getTracks()) t.stop(); // asks for the permission now, not while a caller waits
  } catch (e) {
    return desk.tell(why(e), true);
  }
  if (typeof Notification !== "undefined" && Notification.permission === "default") void Notification.requestPermission();
  sound();
  await desk.attempt(async () => {
    await desk.post("/v1/softphone", { on: true, take });
    remember("on", "yes");
    desk.tell("Your phone is on.");
  });
}

async function turnOff() {
  remember("on", "");
  await desk.attempt(() => desk.post("/v1/softphone", { on: false }));
}

// again turns the phone on by itself where it was on and needs no question.
async function again() {
  if (!remembered("on")) return;
  const may = await navigator.permissions?.query({ name: "microphone" as PermissionName }).catch(() => null);
  if (may?.state !== "granted" || view.state !== "off") return;
  await desk.post("/v1/softphone", { on: true }).catch(() => {});
}

// hold waits for the browser's one phone, or takes it from the other tab.
function hold(steal: boolean) {
  navigator.locks.request("ringfence-phone", steal ? { steal: true } : {}, () => {
    active = true;
    update();
    return new Promise<void>(() => {});
  }).catch(() => {
    active = false;
    linkOf?.close();
    linkOf = null;
    update();
    hold(false);
  });
}

// --- one call ---------------------------------------------------------------

// Link is this tab's connection to one call.
class Link {
  up = false;
  private pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  private mic: MediaStream | null = null;
  private timers: ReturnType<typeof setInterval>[] = [];
  private closed = false;
  private last = { lost: 0, got: 0 };

  constructor(readonly leg: string) {}

  async open() {
    const pc = this.pc;
    this.mic = await openMic();
    if (this.closed) return this.release();
    for (const t of this.mic.getAudioTracks()) { t.enabled = !muted; pc.addTrack(t, this.mic); }
    pc.ontrack = (e) => { speaker.srcObject = e.streams[0] ?? new MediaStream([e.track]); void toSpeaker().then(() => speaker.play()).catch(() => {}); };
    pc.onconnectionstatechange = () => this.state();
    await pc.setLocalDescription(await pc.createOffer());
    const { answer } = await desk.post<{ answer: string }>(`/v1/softphone/calls/${this.leg}/link`, { offer: pc.localDescription!.sdp });
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
    this.meter(this.mic);
    this.timers.push(setInterval(() => void this.measure(), 2000), setInterval(() => void desk.post("/v1/session/touch").catch(() => {}), 240_000));
  }

  private state() {
    this.up = this.pc.connectionState === "connected";
    if (this.pc.connectionState === "failed" && !this.closed) lost(this);
    draw();
  }

  private meter(mic: MediaStream) {
    const ctx = sound();
    if (!ctx) return;
    const ear = ctx.createAnalyser();
    ctx.createMediaStreamSource(mic).connect(ear);
    const wave = new Float32Array(ear.fftSize);
    this.timers.push(setInterval(() => {
      ear.getFloatTimeDomainData(wave);
      level.value = muted ? 0 : Math.min(1, 3 * Math.sqrt(wave.reduce((sum, v) => sum + v * v, 0) / wave.length));
    }, 100));
  }

  private async measure() {
    let lost = 0, got = 0, jitter = 0, trip = 0;
    (await this.pc.getStats()).forEach((s) => {
      if (s.type === "inbound-rtp") { lost = s.packetsLost; got = s.packetsReceived; jitter = s.jitter; }
      if (s.type === "remote-inbound-rtp") trip = s.roundTripTime ?? 0;
    });
    const missed = lost - this.last.lost, share = missed / Math.max(1, missed + got - this.last.got), heard = got > this.last.got;
    this.last = { lost, got };
    const grade = !heard ? "No audio" : share > 0.05 || jitter > 0.06 || trip > 0.4 ? "Poor" : share > 0.01 || jitter > 0.03 || trip > 0.25 ? "Fair" : "Good";
    quality.textContent = "Line: " + grade.toLowerCase();
    quality.className = "pill " + (grade === "Good" ? "ok" : grade === "Fair" ? "warn" : "bad");
    quality.title = `${(100 * share).toFixed(1)} % lost, jitter ${Math.round(1000 * jitter)} ms, round trip ${Math.round(1000 * trip)} ms`;
  }

  async otherMic() {
    const mic = await openMic().catch((e) => { desk.tell(why(e), true); return null; });
    if (!mic || this.closed) return mic?.getTracks().forEach((t) => t.stop());
    const track = mic.getAudioTracks()[0]!;
    track.enabled = !muted;
    await this.pc.getSenders()[0]?.replaceTrack(track);
    this.mic?.getTracks().forEach((t) => t.stop());
    this.mic = mic;
    this.meter(mic);
  }

  mute() { for (const t of this.mic?.getAudioTracks() ?? []) t.enabled = !muted; }

  press(key: string) { this.pc.getSenders()[0]?.dtmf?.insertDTMF(key, 120, 70); }

  private release() { this.mic?.getTracks().forEach((t) => t.stop()); }

  close() {
    this.closed = true;
    this.timers.forEach(clearInterval);
    this.release();
    this.pc.close();
    speaker.srcObject = null;
  }
}

let linkOf: Link | null = null;
let failures = 0;

// connect makes the audio of a call, in place of what was there.
async function connect(leg: string) {
  linkOf?.close();
  const link = linkOf = new Link(leg);
  draw();
  try {
    await link.open();
  } catch (e) {
    link.close();
    if (linkOf === link) linkOf = null;
    throw e;
  }
}

// lost makes the audio of a call that goes on anew, a little later each time.
function lost(link: Link) {
  if (linkOf !== link) return;
  link.close();
  linkOf = null;
  setTimeout(update, Math.min(8000, 500 * 2 ** failures++));
}

async function answer(c: PhoneCall) {
  if (view.calls.some((x) => x.live)) return desk.tell("You are in a call. End it first.");
  ring(false);
  muted = false;
  await desk.attempt(async () => {
    try {
      await connect(c.leg);
    } catch (e) {
      if (e instanceof DOMException) return desk.tell(why(e), true);
      throw e;
    }
  });
  update();
}

const hangUp = (c: PhoneCall) => void desk.attempt(() => desk.post(`/v1/softphone/calls/${c.leg}/hang-up`));
const onHold = (c: PhoneCall) => void desk.attempt(() => desk.post(`/v1/softphone/calls/${c.leg}/hold`, { on: !c.held }));

function mute(on: boolean) {
  muted = on;
  linkOf?.mute();
  desk.tell(on ? "The caller does not hear you." : "The caller hears you.");
  draw();
}

// --- what the server says ---------------------------------------------------

let rang = false;

function update() {
  const live = view.calls.find((c) => c.live);
  const mine = view.state === "here" && active;
  const gone = linkOf && !view.calls.some((c) => c.leg === linkOf!.leg);
  if (linkOf && (gone || !mine)) {
    linkOf.close();
    linkOf = null;
  }
  if (!live) { keypad = false; failures = 0; }
  const rings = mine && !live && !linkOf && view.calls.length > 0;
  if (rings && !rang) desk.tell("Incoming call.");
  ring(rang = rings);
  if (mine && live && !linkOf) connect(live.leg).catch(() => setTimeout(update, 2000)); // loaded again, or taken over
  draw();
}

addEventListener("keydown", (e) => {
  if (!e.altKey || !e.shiftKey || !active || view.state !== "here") return;
  const live = view.calls.find((c) => c.live), first = view.calls.find((c) => !c.live);
  const does: Record<string, (() => unknown) | undefined> = {
    KeyA: first && (() => answer(first)), KeyM: live && (() => mute(!muted)), KeyH: live && (() => onHold(live)), KeyX: live && (() => hangUp(live)),
  };
  if (does[e.code]) { e.preventDefault(); does[e.code]!(); }
});

export function start(where: HTMLElement, from: Console) {
  host = where;
  desk = from;
  let first = true;
  desk.phone.subscribe((v) => {
    if (!v) return;
    view = v;
    if (first) { first = false; void again(); }
    update();
  });
  hold(false);
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => void sound(), { once: true });
  navigator.mediaDevices?.addEventListener("devicechange", () => void listDevices());
  setInterval(draw, 1000);
}
