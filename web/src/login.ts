import { post, Refused } from "./api";
import { make, use, NotDone, supported } from "./passkey";

const main = document.querySelector("main")!;
const go = document.getElementById("go") as HTMLButtonElement;
const says = document.getElementById("says")!;

// The invitation stands in the fragment, which no proxy or log ever sees; it
// is taken out of the address at once and spent only by the tap.
const token = location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);

function tell(text: string, how = "") {
  says.className = text ? `says ${how}` : "";
  says.textContent = text;
}

async function run() {
  go.setAttribute("aria-disabled", "true");
  tell("");
  try {
    if (main.dataset.page === "invite") {
      const begun = await post<any>("/v1/invite/begin", { token });
      const made = await post<{ waits: boolean; check?: string }>("/v1/invite/finish", { token, response: await make(begun.options) });
      // The first login shows at once that the passkey works.
      main.dataset.page = "login";
      go.textContent = "Sign in with a passkey";
      go.removeAttribute("aria-disabled");
      tell(made.waits
        ? `Your passkey is made. It opens nothing until a colleague who keeps staff, other than who invited you, has confirmed it. Read them these digits when they call you, or when you meet: ${made.check!.slice(0, 3)} ${made.check!.slice(3)}. Then sign in.`
        : "Your passkey is made. Sign in with it.", "ok");
      return;
    }
    const begun = await post<any>("/v1/login/begin");
    await post("/v1/login/finish", { ceremony: begun.ceremony, response: await use(begun.options) });
    location.assign("/");
  } catch (e) {
    if (e instanceof NotDone) tell("No passkey was used. Try again when you are ready.");
    else if (e instanceof Refused) tell(e.message, e.problem.status ? "bad" : "");
    else tell("This browser could not do it. Try another one.", "bad");
    go.removeAttribute("aria-disabled");
  }
}

if (!supported()) tell("This browser knows no passkeys. Use a current one, outside of other apps.");
go.addEventListener("click", () => { if (go.getAttribute("aria-disabled") !== "true") void run(); });
if (main.dataset.page === "invite" && !token) tell("This page needs the whole link that you were given.");
