// The pages of whoever sets ringfence up: the first steps, and what is
// configured. Both are loaded on their own, so the console stays small.

import { watchAsked } from "./asked";
import { here, me, open } from "./shell";
import { StartPage } from "./start";
import { SystemPage } from "./system";

open(() => (here() === "start" ? <StartPage me={me.value!} /> : <SystemPage me={me.value!} />), watchAsked);
