// The pages of whoever sets ringfence up and looks after it: the first steps,
// what is configured, subjects and alerts. They are loaded on their own, so the console
// stays small.

import { AlertsPage } from "./alerts";
import { watchAsked } from "./asked";
import { here, me, open } from "./shell";
import { StartPage } from "./start";
import { SubjectsPage } from "./subjects";
import { SystemPage } from "./system";

open(() => {
  switch (here()) {
    case "start": return <StartPage me={me.value!} />;
    case "subjects": return <SubjectsPage me={me.value!} />;
    case "alerts": return <AlertsPage me={me.value!} />;
    default: return <SystemPage me={me.value!} />;
  }
}, watchAsked);
