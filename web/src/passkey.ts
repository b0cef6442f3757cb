// Passkeys without a library. Every ceremony ends by a time-out of ours;
// "cancelled", "no passkey here" and "took too long" look alike to a page, so
// they are told as one plain sentence and never shown red.

type JSONish = Record<string, unknown>;

export class NotDone extends Error {}

async function ceremony(run: (signal: AbortSignal) => Promise<Credential | null>, seconds: number): Promise<JSONish> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), seconds * 1000);
  try {
    const made = (await run(stop.signal)) as PublicKeyCredential | null;
    if (!made) throw new NotDone();
    return made.toJSON() as unknown as JSONish;
  } catch (e) {
    const name = (e as Error).name;
    if (name === "NotAllowedError" || name === "AbortError" || name === "InvalidStateError") throw new NotDone();
    throw e;
  } finally {
    clearTimeout(timer);
  }
}

export const supported = () =>
  typeof PublicKeyCredential !== "undefined" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

// options is what the server sent: {publicKey: …} or the inner object.
const inner = (options: any) => options.publicKey ?? options;

export const use = (options: any, seconds = 120) =>
  ceremony((signal) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(inner(options)), signal }), seconds);

export const make = (options: any, seconds = 120) =>
  ceremony((signal) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(inner(options)), signal }), seconds);
