// What calls a person to the page: the title of the tab, a tone, and a notice
// of the system if it is allowed. The tone is written ahead, for timers sleep in
// a tab that nobody looks at.

let audio: AudioContext | undefined;

// sound is the audio of this page, which browsers let begin only after a touch.
export function sound(): AudioContext | undefined {
  audio ??= typeof AudioContext === "undefined" ? undefined : new AudioContext();
  if (audio?.state === "suspended") void audio.resume().catch(() => {});
  return audio;
}

let tone: GainNode | null = null;
let flashing: ReturnType<typeof setInterval> | undefined;
let title = "";
let note: Notification | null = null;

// ring begins or ends it. bursts is how often the tone is heard, three seconds
// apart; 0 is none.
export function ring(on: boolean, bursts = 60) {
  if (on === !!flashing) return;
  if (!on) {
    clearInterval(flashing);
    flashing = undefined;
    document.title = title;
    tone?.disconnect();
    tone = null;
    note?.close();
    note = null;
    return;
  }
  title = document.title;
  flashing = setInterval(() => { document.title = document.title === "☎ Incoming call" ? title : "☎ Incoming call"; }, 1000);
  document.title = "☎ Incoming call";
  const ctx = bursts ? sound() : undefined;
  if (ctx) {
    tone = ctx.createGain();
    tone.gain.value = 0;
    for (let i = 0, at = ctx.currentTime; i < bursts; i++, at += 3) {
      for (const burst of [0, 0.6]) { // 0.4 s, 0.2 s of silence, 0.4 s, 2 s of silence
        tone.gain.setValueAtTime(0.2, at + burst);
        tone.gain.setValueAtTime(0, at + burst + 0.4);
      }
    }
    for (const hz of [400, 450]) {
      const o = ctx.createOscillator();
      o.frequency.value = hz;
      o.connect(tone);
      o.start();
    }
    tone.connect(ctx.destination);
  }
  if (document.hidden && typeof Notification !== "undefined" && Notification.permission === "granted") {
    note = new Notification("Incoming call", { body: "A caller waits for you in the console.", tag: "ringfence-call", requireInteraction: true });
    note.onclick = () => window.focus();
  }
}
